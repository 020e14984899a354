"""Between a question and its answer: the prompt that waits for a language model, and the text as it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assistant.answer.citations import CitationChecker, without_untied
from assistant.answer.refusal import is_refusal
from assistant.answer.stream import AnswerStream
from corpora.prompt import RenderedPrompt
from corpora.records import Answer, Usage


@dataclass(frozen=True, slots=True)
class Prompted:
    """A question that a language model is to answer: what to send it, and what is known so far.

    `checker` is None without retrieval; `weak` models are given one sentence, and what they write without
    ground is replaced by quotations. `begun` is of `time.perf_counter`.
    """

    draft: Answer
    prompt: RenderedPrompt
    stops: tuple[str, ...]
    checker: CitationChecker | None
    weak: bool
    begun: float

    def writing(self, show: Callable[[str], None] | None = None) -> Writing:
        """Where the model's text goes, piece by piece."""
        return Writing(self.checker, None if self.weak else show)


@dataclass(frozen=True, slots=True)
class Written:
    """What the language model made of a prompt: the checked text and what it cost."""

    text: str
    refused: bool
    usage: Usage


class Writing:
    """The text of one answer as it comes; `show` receives what is certain of it."""

    def __init__(self, checker: CitationChecker | None, show: Callable[[str], None] | None) -> None:
        self._grounded = checker is not None
        self._stream = AnswerStream(checker.check if checker else without_untied, show)
        self._whole: list[str] = []

    def feed(self, text: str) -> bool:
        """Takes a piece of the reply. Whether more is wanted: not once the model repeats itself."""
        self._whole.append(text)
        self._stream.feed(text)
        return not self._stream.repeating

    def end(self, usage: Usage) -> Written:
        """The whole of it, once the model has ended or no more is wanted."""
        if self._grounded and is_refusal("".join(self._whole)):
            return Written("", True, usage)
        return Written(self._stream.finish(), False, usage)
