"""The answer engine: retrieve, refuse where the library holds nothing, write, check, cite.

    engine = AnswerEngine(retriever, model=ChosenModel(runtime), floor=Floor.for_encoder(...))
    engine.answer("When was the lighthouse built?") -> Answer

It reads top to bottom in `answer`; each step is a file of this folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypedDict

from assistant.answer.citations import CitationChecker
from assistant.answer.extractive import extract, rank_sentences, sentence_alone
from assistant.answer.refusal import is_refusal, refusal_sentence
from assistant.answer.stream import AnswerStream
from corpora.errors import UsageError
from corpora.prompt import STOPS, MessageCounter, RenderedPrompt, render, render_closed_book
from corpora.records import Answer, ScoredPassage, Seconds, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.answer.floor import Floor

Show = Callable[[str], None]


class Budget(TypedDict):
    """How much text the model takes, for the prompt renderer."""

    count_tokens: MessageCounter
    limit: int


class PassageSource(Protocol):
    """The part of the retriever that is needed here."""

    def search(
        self,
        query: str,
        k: int = 8,
        mode: str = "hybrid",
        glob: str | None = None,
        kind: str | None = None,
        per_source: int | None = None,
    ) -> list[ScoredPassage]: ...


class ModelSource(Protocol):
    """A language model that is loaded when `chat` is first read."""

    name: str

    @property
    def adapter(self) -> str | None:
        """What the adapter that answers is called; may load the model."""

    @property
    def english_only(self) -> bool:
        """Whether it is known, without loading it, that the model writes English alone."""

    @property
    def reads_one_sentence(self) -> bool:
        """Whether the model answers better from the one best sentence than from whole passages."""

    @property
    def examples(self) -> bool:
        """Whether the model is shown answered questions before the real one; a tuned one needs none."""

    @property
    def chat(self) -> BaseChatModel: ...


@dataclass(frozen=True, slots=True)
class Written:
    """What the language model made of a prompt: the checked text and what it cost."""

    text: str
    refused: bool
    usage: Usage
    checker: CitationChecker | None


class AnswerEngine:
    """Answers questions from one library. Without a model it can only quote (`extractive`).

    `k` passages are found for each.
    """

    def __init__(
        self,
        retriever: PassageSource,
        *,
        model: ModelSource | None,
        floor: Floor | None,
        k: int = 6,
        mode: str = "hybrid",
        per_source: int | None = None,
        max_new_tokens: int = 256,
    ) -> None:
        self._retriever = retriever
        self._floor = floor
        self._model = model
        self.k, self._mode, self._per_source = k, mode, per_source
        self._max_new_tokens = max_new_tokens

    def answer(
        self,
        question: str,
        *,
        glob: str | None = None,
        kind: str | None = None,
        retrieval: bool = True,
        extractive: bool = False,
        show: Show | None = None,
    ) -> Answer:
        """One answer. `show` receives the generated text as it becomes certain; it sees no refusal.

        Raises UsageError for an empty question or one that the model's context cannot hold.
        """
        question = question.strip()
        if not question:
            raise UsageError("Empty question.", hint='assistant ask "your question"')
        begun = time.perf_counter()
        if not retrieval:
            return self._closed_book(question, show, begun)
        found = self._retriever.search(
            question, k=self.k, mode=self._mode, glob=glob, kind=kind, per_source=self._per_source
        )
        draft = _draft(question, found, Seconds(retrieve=time.perf_counter() - begun))
        if not found or (self._floor is not None and not self._floor.answerable(question, found)):
            return self._finished(replace(draft, refused=True, refusal="floor"), begun)
        if extractive or not self._can_write(question, found):
            text, citations = extract(question, [hit.passage for hit in found])
            return _timed(replace(draft, answer=text, kind="extractive", citations=citations), begun)
        return self._generated(draft, show, begun)

    def _generated(self, draft: Answer, show: Show | None, begun: float) -> Answer:
        passages = [hit.passage for hit in draft.passages]
        numbers = list(range(1, len(passages) + 1))
        given = passages
        weak = self._model is not None and self._model.reads_one_sentence
        examples = self._model is None or self._model.examples
        if weak:
            best = rank_sentences(draft.question, passages)[0]
            numbers = [best.marker]
            passages = [passages[best.marker - 1]]
            given = [sentence_alone(passages[0], best.span)]
        prompt = render(draft.question, given, **self._budget(), examples=examples)
        checker = CitationChecker(draft.question, passages[: prompt.included], numbers)
        written = self._write(prompt, checker, None if weak else show, (*STOPS, "\n\n") if weak else STOPS)
        left_out = len(draft.passages) - prompt.included
        named = replace(draft, passages_left_out=left_out, usage=written.usage)
        said_nothing = not any(map(str.isalnum, written.text))
        if written.refused or (said_nothing and not weak):
            return self._finished(replace(named, refused=True, refusal="model"), begun)
        named = replace(named, dropped_citations=checker.dropped)
        supported = bool(checker.citations) and checker.supported
        if weak and not supported:
            # Its own words have no ground, but the sentences that it was given do: these are what is known.
            text, citations = extract(draft.question, [hit.passage for hit in draft.passages])
            quoted = replace(named, answer=text, kind="extractive", citations=citations)
            return self._finished(quoted, begun)
        if weak and show is not None:
            show(written.text)
        cited = replace(
            named, answer=written.text, unsupported=not supported, citations=tuple(checker.citations)
        )
        return self._finished(cited, begun)

    def _closed_book(self, question: str, show: Show | None, begun: float) -> Answer:
        prompt = render_closed_book(question, **self._budget())
        written = self._write(prompt, None, show)
        draft = _draft(question, [], Seconds())
        return self._finished(
            replace(draft, answer=written.text, unsupported=True, usage=written.usage), begun
        )

    def _write(
        self,
        prompt: RenderedPrompt,
        checker: CitationChecker | None,
        show: Show | None,
        stops: Sequence[str] = STOPS,
    ) -> Written:
        from assistant.chat_models.talk import stream_text

        whole: list[str] = []
        usage = Usage(prompt_tokens=prompt.tokens)
        stream = AnswerStream(checker.check if checker else str, show)
        for text, counted in stream_text(self._chat(), prompt.messages, self._max_new_tokens, stops):
            whole.append(text)
            stream.feed(text)
            usage = counted or usage
            if stream.repeating:
                break
        if checker is not None and is_refusal("".join(whole)):
            return Written("", True, usage, checker)
        return Written(stream.finish(), False, usage, checker)

    def _chat(self) -> BaseChatModel:
        if self._model is None:
            raise UsageError("This needs a language model.", hint="--model NAME")
        return self._model.chat

    def _budget(self) -> Budget:
        from assistant.chat_models.talk import context_tokens, count_tokens

        chat = self._chat()
        return {
            "count_tokens": lambda messages: count_tokens(chat, messages),
            "limit": context_tokens(chat) - self._max_new_tokens,
        }

    def _can_write(self, question: str, found: Sequence[ScoredPassage]) -> bool:
        from assistant.chat_models.talk import foreign_letters, writes

        if self._model is None:
            return False
        foreign = foreign_letters("\n".join([question, *(hit.passage.text for hit in found)]))
        return not foreign or (not self._model.english_only and writes(self._model.chat, foreign))

    def _finished(self, answer: Answer, begun: float) -> Answer:
        if answer.refused:
            answer = replace(answer, answer=refusal_sentence(answer.question))
        if self._model is not None and answer.refusal != "floor":
            answer = replace(answer, model=self._model.name, adapter=self._model.adapter)
        return _timed(answer, begun)


def _draft(question: str, found: Sequence[ScoredPassage], seconds: Seconds) -> Answer:
    """An answer that says nothing yet."""
    return Answer(
        question=question,
        answer=None,
        kind="generated",
        refused=False,
        refusal=None,
        unsupported=False,
        dropped_citations=0,
        citations=(),
        passages=tuple(found),
        passages_left_out=0,
        model=None,
        adapter=None,
        seconds=seconds,
    )


def _timed(answer: Answer, begun: float) -> Answer:
    total = time.perf_counter() - begun
    generate = total - answer.seconds.retrieve if answer.usage.completion_tokens else 0.0
    return replace(answer, seconds=Seconds(answer.seconds.retrieve, generate, total))
