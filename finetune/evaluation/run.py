"""Questions to an answerer, one by one, each answer with its score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from corpora.errors import UsageError
from corpora.records import Answer, Answerer
from finetune.evaluation.likelihood import GoldLikelihood
from finetune.evaluation.questions import EvalQuestion
from finetune.evaluation.scores import Score, score


@dataclass(frozen=True, slots=True)
class Outcome:
    """A question with what came of it; where it could not be asked, `error` says why."""

    question: EvalQuestion
    answer: Answer | None
    score: Score | None
    error: str | None = None

    def row(self) -> dict[str, Any]:
        """As JSON, for a file of results."""
        row: dict[str, Any] = {
            "id": self.question.id,
            "question": self.question.question,
            "answers": list(self.question.answers),
            "must_refuse": self.question.must_refuse,
            "status": "error" if self.score is None else "refused" if self.score.refused else "ok",
            "error": self.error,
        }
        answer, given = self.answer, self.score
        row |= {
            "answer": answer.answer if answer else None,
            "kind": answer.kind if answer else None,
            "refused": given is not None and given.refused,
            "refusal": answer.refusal if answer else None,
            "unsupported": answer.unsupported if answer else None,
        }
        row |= {
            "em": given.em if given else None,
            "f1": round(given.f1, 6) if given else None,
            "citations": given.citations if given else None,
            "right_passages": given.right_passages if given else None,
            "right_quotes": given.right_quotes if given else None,
            "found": given.found if given else None,
            "log_likelihood": given.log_likelihood if given else None,
            "quotes": [{"path": one.path, "quote": one.quote} for one in answer.citations] if answer else [],
            "passage_ids": [hit.passage.id for hit in answer.passages] if answer else [],
            "seconds": round(given.seconds, 3) if given else None,
        }
        return row


def evaluate(
    questions: Iterable[EvalQuestion],
    answerer: Answerer,
    *,
    retrieval: bool = True,
    likelihood: GoldLikelihood | None = None,
) -> Iterator[Outcome]:
    """Ask each question when its outcome is wanted. A question that is over the context fails by itself.

    `retrieval` says whether the answers rest on passages; other errors of the answerer end the run.
    """
    for question in questions:
        try:
            answer = answerer.answer(question.question)
        except UsageError as error:
            yield Outcome(question, None, None, error.message)
            continue
        value = None
        if likelihood is not None and question.answers:
            passages = [hit.passage for hit in answer.passages]
            value = likelihood.of(question.question, passages, question.answers[0])
        yield Outcome(question, answer, score(question, answer, retrieval=retrieval, log_likelihood=value))
