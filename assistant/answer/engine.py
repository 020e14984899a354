"""The answer engine: retrieve, refuse where the library holds nothing, write, check, cite.

    engine = AnswerEngine(retriever, model=ChosenModel(runtime), floor=Floor.for_encoder(...))
    engine.answer("When was the lighthouse built?") -> Answer

It reads top to bottom in `answer`; each step is a file of this folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypedDict

from assistant.answer.citations import CitationChecker
from assistant.answer.extractive import extract, rank_sentences, sentence_alone
from assistant.answer.refusal import refusal_sentence
from assistant.answer.writing import Prompted, Written
from corpora.errors import UsageError
from corpora.prompt import STOPS, MessageCounter, refuse_endless, render, render_closed_book
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
        step = self.prepare(question, glob=glob, kind=kind, retrieval=retrieval, extractive=extractive)
        if isinstance(step, Answer):
            return step
        answer = self.finish(step, self._write(step, show))
        if step.weak and show is not None and answer.kind == "generated" and not answer.refused:
            show(answer.answer or "")
        return answer

    def prepare(
        self,
        question: str,
        *,
        k: int | None = None,
        glob: str | None = None,
        kind: str | None = None,
        retrieval: bool = True,
        extractive: bool = False,
    ) -> Answer | Prompted:
        """As far as it goes without writing: an answer where none is to be written, else its prompt.

        `k` passages are found, where it is given. Raises as `answer`.
        """
        question = question.strip()
        if not question:
            raise UsageError("Empty question.", hint='assistant ask "your question"')
        refuse_endless(question)
        begun = time.perf_counter()
        if not retrieval:
            prompt = render_closed_book(question, **self._budget())
            return Prompted(Answer.blank(question), prompt, STOPS, None, False, begun)
        found = self._retriever.search(
            question, k=k or self.k, mode=self._mode, glob=glob, kind=kind, per_source=self._per_source
        )
        draft = replace(Answer.blank(question, found), seconds=Seconds(retrieve=time.perf_counter() - begun))
        if not found or (self._floor is not None and not self._floor.answerable(question, found)):
            refused = replace(draft, refused=True, refusal="floor")
            return self._finished(replace(refused, kind="extractive") if extractive else refused, begun)
        if extractive or not self._can_write(question, found):
            text, citations = extract(question, [hit.passage for hit in found])
            return _timed(replace(draft, answer=text, kind="extractive", citations=citations), begun)
        return self._prompted(draft, begun)

    def with_model(self, model: ModelSource, k: int) -> AnswerEngine:
        """The same library and settings with another model and number of passages."""
        other = copy(self)
        other._model, other.k = model, k
        return other

    def finish(self, step: Prompted, written: Written) -> Answer:
        """The answer that the model's text makes: cited, refused, or quoted where it has no ground."""
        checker, begun = step.checker, step.begun
        named = replace(step.draft, usage=written.usage)
        if checker is None:
            return self._finished(replace(named, answer=written.text, unsupported=True), begun)
        named = replace(named, passages_left_out=len(named.passages) - step.prompt.included)
        said_nothing = not any(map(str.isalnum, written.text))
        if written.refused or (said_nothing and not step.weak):
            return self._finished(replace(named, refused=True, refusal="model"), begun)
        named = replace(named, dropped_citations=checker.dropped)
        supported = bool(checker.citations) and checker.supported
        if step.weak and not supported:
            # Its own words have no ground, but the sentences that it was given do: these are what is known.
            text, citations = extract(named.question, [hit.passage for hit in named.passages])
            quoted = replace(named, answer=text, kind="extractive", citations=citations)
            return self._finished(quoted, begun)
        cited = replace(
            named, answer=written.text, unsupported=not supported, citations=tuple(checker.citations)
        )
        return self._finished(cited, begun)

    def _prompted(self, draft: Answer, begun: float) -> Prompted:
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
        return Prompted(draft, prompt, (*STOPS, "\n\n") if weak else STOPS, checker, weak, begun)

    def _write(self, step: Prompted, show: Show | None) -> Written:
        from assistant.chat_models.talk import stream_text

        usage = Usage(prompt_tokens=step.prompt.tokens)
        writing = step.writing(show)
        pieces = stream_text(self.chat, step.prompt.messages, self._max_new_tokens, step.stops)
        for text, counted in pieces:
            usage = counted or usage
            if not writing.feed(text):
                break
        return writing.end(usage)

    @property
    def chat(self) -> BaseChatModel:
        """The language model; the first use loads it. Raises UsageError without one."""
        if self._model is None:
            raise UsageError("This needs a language model.", hint="--model NAME")
        return self._model.chat

    def _budget(self) -> Budget:
        from assistant.chat_models.talk import context_tokens, count_tokens

        chat = self.chat
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


def _timed(answer: Answer, begun: float) -> Answer:
    total = time.perf_counter() - begun
    generate = total - answer.seconds.retrieve if answer.usage.completion_tokens else 0.0
    return replace(answer, seconds=Seconds(answer.seconds.retrieve, generate, total))
