"""What the user says of an answer, kept as reviewed examples for the next `tune`.

A good answer and a corrected one become accepted examples of the stand-alone question, with quotes; a bad
one is kept as dropped, so that nothing teaches it. Of one question only the last word counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assistant.answer.citations import make_citation, title_of
from assistant.answer.refusal import is_refusal
from assistant.chat.records import Rating, Turn
from assistant.chat.rewriting.history import without_markers
from corpora.errors import UsageError
from corpora.examples import Example, Quote, Split, Status
from corpora.prompt import PROMPT_VERSION, language_of
from corpora.records import Answer, Citation, Passage
from corpora.store import ExampleStore, Library, SessionStore, Writer, example_id
from finetune.checks.locating import find_quote
from finetune.splits import assign_splits
from index.evidence.support import find_evidence, read_claim

BY_USER = "user"  # the teacher of a corrected answer
_VERBATIM = 3  # passages of the whole library looked at for the words of a correction


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The turn with its rating, and the example that came of it.

    `example` is None where no passage supports an answer that was called good: it could only teach the
    model to make things up.
    """

    turn: Turn
    example: Example | None

    @property
    def told(self) -> str:
        """What to tell the user."""
        if self.example is None:
            return "Noted. No passage supports it, so nothing is taught by it; /fix gives a better answer."
        if self.example.status == "dropped":
            return "Kept as a wrong answer; /fix says what is right."
        split = self.example.split
        held = "" if split == "train" else f"; its document is held out ({split})"
        return f"Kept as a reviewed example for the next tune{held}."


class Reviews:
    """Reviews of one open library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._examples = ExampleStore(library)
        self._sessions = SessionStore(library)

    def good(self, turn: Turn) -> Reviewed:
        """The answer is right, or right to refuse."""
        answer = _answered(turn)
        said = None if answer.refused else without_markers(answer.answer or "")
        quotes = self._cited(answer)
        if said is not None and turn.retrieval and not quotes:
            found = self._supported(turn, said)
            if found is None:
                return self._kept(turn, "good", None)
            quotes = (found,)
        teacher = " with ".join(name for name in (answer.model, answer.adapter) if name) or "extract"
        return self._kept(turn, "good", self._example(turn, said, quotes, teacher, "accepted"))

    def bad(self, turn: Turn) -> Reviewed:
        """The answer is wrong; what would be right is not known."""
        answer = _answered(turn)
        said = None if answer.refused else without_markers(answer.answer or "")
        teacher = " with ".join(name for name in (answer.model, answer.adapter) if name) or "extract"
        return self._kept(turn, "bad", self._example(turn, said, self._cited(answer), teacher, "dropped"))

    def fix(self, turn: Turn, answer: str) -> Reviewed:
        """The right answer is `answer`; "" or a refusal says that the documents do not hold one.

        Raises UsageError where no passage supports it.
        """
        _answered(turn)
        said = without_markers(answer)
        if not said or is_refusal(said):
            return self._kept(turn, "bad", self._example(turn, None, (), BY_USER, "accepted"))
        quotes: tuple[Quote, ...] = ()
        if turn.retrieval:
            found = self._supported(turn, said)
            if found is None:
                raise UsageError(
                    "No passage of your documents says that.",
                    hint="use the words of a document, or nothing where the documents do not say",
                )
            quotes = (found,)
        return self._kept(turn, "bad", self._example(turn, said, quotes, BY_USER, "accepted"))

    # -- one example -------------------------------------------------------------------------------

    def _example(
        self, turn: Turn, answer: str | None, quotes: tuple[Quote, ...], teacher: str, status: Status
    ) -> Example:
        return Example(
            id=example_id("review", turn.searched, "", answer, quotes),
            status=status,
            reason=None,
            method="review",
            kind="multi-hop" if len({quote.passage_id for quote in quotes}) > 1 else "span",
            language=language_of(turn.searched),
            question=turn.searched,
            input="",
            answer=answer,
            quotes=quotes,
            history=(),
            split=self._split(quotes),
            teacher=teacher,
            prompt_version=PROMPT_VERSION,
            reviewed=True,
        )

    def _split(self, quotes: Sequence[Quote]) -> Split:
        """That of the documents: what is held out to measure an adapter does not teach it."""
        if not quotes:
            return "train"
        splits = assign_splits(self._library.documents(), self._examples.splits())
        return splits[quotes[0].document_id]

    def _kept(self, turn: Turn, rating: Rating, example: Example | None) -> Reviewed:
        with self._library.write() as writer:
            self._drop_earlier(writer, turn.searched)
            if example is not None:
                self._settle(writer, example)
                self._examples.add(writer, [example])
                self._examples.set_status(writer, [example.id], example.status, None)
            self._sessions.rate(writer, turn.id, rating)
        rated = self._sessions.turn(turn.id)
        return Reviewed(rated or turn, example)

    def _settle(self, writer: Writer, example: Example) -> None:
        """Documents get their split for good with their first example."""
        if example.quotes:
            splits = assign_splits(self._library.documents(), self._examples.splits())
            self._examples.set_splits(writer, splits)

    def _drop_earlier(self, writer: Writer, question: str) -> None:
        earlier = [
            one.id for one in self._examples.find("accepted", method="review") if one.question == question
        ]
        self._examples.set_status(writer, earlier, "dropped", None)

    # -- quotes ------------------------------------------------------------------------------------

    def _cited(self, answer: Answer) -> tuple[Quote, ...]:
        """The citations that still stand in the library, of one split."""
        owners = {hit.passage.id: hit.passage for hit in answer.passages}
        quotes = [
            quote
            for citation in answer.citations
            if citation.passage_id in owners
            and (quote := self._quote(owners[citation.passage_id], citation)) is not None
        ]
        splits = assign_splits(self._library.documents(), self._examples.splits())
        return tuple(quote for quote in quotes if splits[quote.document_id] == splits[quotes[0].document_id])

    def _supported(self, turn: Turn, said: str) -> Quote | None:
        """Where a passage says it: word for word, else in a sentence that supports it."""
        found = [hit.passage for hit in turn.answer.passages] if turn.answer else []
        for passage in (*found, *self._verbatim(said)):
            span = find_quote(said, passage.text)
            if span is not None:
                return self._quote(passage, make_citation(1, passage, span))
        claim = read_claim(said, turn.searched)
        for passage in found:
            evidence = find_evidence(claim, passage.text, title_of(passage))
            if evidence is not None:
                return self._quote(passage, make_citation(1, passage, evidence.span))
        return None

    def _verbatim(self, said: str) -> Iterable[Passage]:
        rows = self._library.fetch(
            "SELECT rowid FROM passages WHERE instr(text, ?) ORDER BY rowid LIMIT ?", (said, _VERBATIM)
        )
        return self._library.passages([row[0] for row in rows])

    def _quote(self, passage: Passage, citation: Citation) -> Quote | None:
        document = next((one for one in self._library.documents() if one.id == passage.document_id), None)
        if (
            document is None
            or self._library.text(document.id)[citation.start : citation.end] != citation.quote
        ):
            return None
        there = next((one for one in self._library.passages_of(document.id) if one.id == passage.id), None)
        if there is None:
            return None
        return Quote(
            document.id,
            document.path,
            document.sha256,
            passage.id,
            citation.start,
            citation.end,
            citation.quote,
        )


def _answered(turn: Turn) -> Answer:
    if turn.answer is None or not turn.answer.answer:
        raise UsageError("There is no answer to review.")
    return turn.answer
