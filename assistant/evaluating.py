"""A run of `eval` put together from the settings, and its results for programs and for people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from assistant.answer.build import MAX_NEW_TOKENS, build_engine
from assistant.output import emit_json, emit_text
from assistant.paths import no_place
from assistant.progress import progress
from assistant.terminal import clean_line, say
from corpora.errors import UsageError
from finetune.evaluation.likelihood import GoldLikelihood
from finetune.evaluation.run import Outcome, evaluate
from finetune.evaluation.summary import Measure, Summary, summarise

if TYPE_CHECKING:
    from assistant.answer.engine import AnswerEngine
    from assistant.runtime import Runtime
    from corpora.records import Answer
    from finetune.evaluation.questions import EvalQuestion, QuestionFile

_SHOWN = 20  # bad lines and failed questions named
_WORDS = {
    "em": "exact match",
    "f1": "F1",
    "answerable_em": "exact match, answerable",
    "answerable_f1": "F1, answerable",
    "refusal_precision": "refusal precision",
    "refusal_recall": "refusal recall",
    "refusal_f1": "refusal F1",
    "over_refusal": "refused wrongly",
    "cited": "answers with a citation",
    "citation_precision": "citation precision",
    "quote_precision": "the same, by quote",
    "recall@k": "answer retrieved",
    "perplexity": "perplexity of gold",
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a run gave: measures over what was answered, and what it was run with."""

    summary: Summary
    bad_lines: int
    errors: int
    stopped: bool
    model: str
    adapter: str | None
    retrieval: bool
    k: int
    seconds: float

    def row(self) -> dict[str, Any]:
        """The object of the contract."""
        row = self.summary.row()
        row["seconds"]["total"] = round(self.seconds, 3)
        return row | {
            "bad_lines": self.bad_lines,
            "errors": self.errors,
            "stopped": self.stopped,
            "model": self.model,
            "adapter": self.adapter,
            "retrieval": self.retrieval,
            "k": self.k if self.retrieval else None,
        }


class Examined:
    """The answer engine of the settings as something to be evaluated, with or without retrieval."""

    def __init__(self, engine: AnswerEngine, *, retrieval: bool) -> None:
        self._engine = engine
        self.retrieval = retrieval

    def answer(self, question: str) -> Answer:
        """As `ask` answers it."""
        return self._engine.answer(question, retrieval=self.retrieval)

    @property
    def adapter(self) -> str | None:
        """The name of the adapter that answers."""
        return getattr(self._engine.chat, "adapter_name", None)

    def likelihood(self) -> GoldLikelihood | None:
        """How likely the model finds an answer; None for a model elsewhere. Loads the model."""
        from assistant.chat_models.local import LocalChatModel

        model = self._engine.chat
        if not isinstance(model, LocalChatModel):
            return None
        return GoldLikelihood(
            model,
            model.count_tokens,
            limit=model.context_tokens - MAX_NEW_TOKENS,
            retrieval=self.retrieval,
            examples=model.serving is None or model.serving.examples,
        )


def run(
    runtime: Runtime,
    file: QuestionFile,
    *,
    retrieval: bool,
    results: Path | None,
    stop: Callable[[], bool],
) -> Evaluated:
    """Ask all questions of `file`, as far as `stop` lets, a line of `results` for each."""
    began = time.monotonic()
    examined = Examined(engine := build_engine(runtime), retrieval=retrieval)
    outcomes: list[Outcome] = []
    with _opened(results) as out, progress("Evaluating", len(file.questions)) as bar:
        for outcome in _outcomes(file.questions, examined, stop):
            outcomes.append(outcome)
            if out is not None:
                line = json.dumps(outcome.row(), ensure_ascii=False, separators=(",", ":"))
                out.write(line.encode("utf-8", "replace") + b"\n")
                out.flush()
            bar.advance(1, outcome.question.question)
    failed = [outcome for outcome in outcomes if outcome.score is None]
    for outcome in failed[:_SHOWN]:
        say(f"question {clean_line(str(outcome.question.id))}: {outcome.error}")
    spoke = next((outcome.answer for outcome in outcomes if outcome.answer and outcome.answer.model), None)
    return Evaluated(
        summary=summarise([outcome.score for outcome in outcomes if outcome.score is not None]),
        bad_lines=len(file.bad),
        errors=len(failed),
        stopped=len(outcomes) < len(file.questions),
        model=(spoke and spoke.model) or runtime.settings.model,
        adapter=examined.adapter if outcomes else None,
        retrieval=retrieval,
        k=engine.k,
        seconds=time.monotonic() - began,
    )


def show(evaluated: Evaluated, *, as_json: bool) -> None:
    """The measures, each with its interval."""
    if as_json:
        emit_json(evaluated.row())
        return
    summary = evaluated.summary
    who = evaluated.model + (f" with {evaluated.adapter}" if evaluated.adapter else "")
    way = f"{evaluated.k} passages" if evaluated.retrieval else "no retrieval"
    emit_text(f"{summary.n} questions, {summary.must_refuse} of them to be refused; {clean_line(who)}, {way}")
    for name, measure in summary.measures.items():
        if measure.value is not None:
            emit_text(f"  {_WORDS[name]:24}{_figures(measure)}")
    if summary.median_seconds is not None and summary.slowest_seconds is not None:
        emit_text(f"  {'seconds an answer':24}{summary.median_seconds:7.2f}  95 % within "
                  f"{summary.slowest_seconds:.2f}")  # fmt: skip


def refuse_overwriting(source: Path, results: Path) -> None:
    """Raises UsageError where the results would take the place of the questions."""
    if source.exists() and results.exists() and source.samefile(results):
        raise UsageError(f"{results} holds the questions.", hint="name another file for the results")


def report_bad_lines(source: str, file: QuestionFile) -> None:
    """Name the lines that are no questions."""
    for line in file.bad[:_SHOWN]:
        say(f"{source}:{line.place}: {line.problem}")
    if len(file.bad) > _SHOWN:
        say(f"… and {len(file.bad) - _SHOWN} more bad lines")


def _outcomes(
    questions: Sequence[EvalQuestion], examined: Examined, stop: Callable[[], bool]
) -> Iterator[Outcome]:
    if not questions:
        return
    likelihood = examined.likelihood()  # loads the model before the first answer is timed
    for outcome in evaluate(questions, examined, retrieval=examined.retrieval, likelihood=likelihood):
        yield outcome
        if stop():
            return


def _figures(measure: Measure) -> str:
    interval = ""
    if measure.low is not None and measure.high is not None:
        interval = f"  [{measure.low:.3f}, {measure.high:.3f}]"
    return f"{measure.value:7.3f}{interval}"


@contextmanager
def _opened(results: Path | None) -> Iterator[IO[bytes] | None]:
    """The file of results, new."""
    if results is None:
        yield None
        return
    try:
        out = results.open("wb")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise no_place(results, error) from error
    with out:
        yield out
