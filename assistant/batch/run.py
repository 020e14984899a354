"""A run of `batch`: what is there is read, the rest is asked, window by window, in the order of the input."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import __version__
from assistant.answer.build import MAX_NEW_TOKENS
from assistant.batch.engines import Engines, EngineSource
from assistant.batch.outfile import OutFile
from assistant.batch.windows import WINDOW, Asker, Options, Stopped, keys_of
from assistant.progress import progress
from corpora.errors import Conflict
from corpora.prompt import PROMPT_VERSION

if TYPE_CHECKING:
    from assistant.batch.questions import Question
    from assistant.batch.results import Kept
    from assistant.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Source:
    """Where answers come from: engines, `facts` that all answers hang on, and what grows with the library."""

    engines: EngineSource
    facts: Mapping[str, Any]
    generation: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is in the file of results at the end; `kept` rows of it were there before.

    `em` and `f1` are means over the `scored` rows, which have an expected answer. The seconds are of this
    run, without loading the model; rates are of models on this machine, None where there was nothing to do.
    """

    rows: int
    answered: int
    refused: int
    errors: int
    missing: int
    kept: int
    scored: int
    em: float | None
    f1: float | None
    prompt_tokens: int
    completion_tokens: int
    prefill_tokens_per_second: float | None
    decode_tokens_per_second: float | None
    seconds: float
    stopped: bool
    k: int | None
    model: str | None
    adapter: str | None
    output: str

    def row(self) -> dict[str, Any]:
        """The object of the contract."""
        return asdict(self)


def run(
    runtime: Runtime,
    questions: Sequence[Question],
    output: Path,
    options: Options,
    *,
    retry_errors: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Answer what is not answered yet, from the library and by the model of `runtime`; see `answer_all`."""
    engines = Engines(runtime, writes=not options.extractive)
    return answer_all(
        Source(engines, _facts(runtime, engines), lambda: runtime.library.generation),
        questions,
        output,
        options,
        retry_errors=retry_errors,
        stop=stop,
    )


def answer_all(
    source: Source,
    questions: Sequence[Question],
    output: Path,
    options: Options,
    *,
    retry_errors: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Answer what is not answered yet; with `retry_errors`, first what failed before.

    Raises Busy where another run writes `output`, Conflict where that holds rows of another input, of other
    documents, another model or other settings.
    """
    engines = source.engines
    with OutFile.open(output) as out:
        generation = source.generation()
        keys = keys_of(questions, engines, [source.facts, asdict(options)])
        named = [(question.id, key) for question, key in zip(questions, keys, strict=True)]
        out.resume(named, again=retry_errors)
        failed = [n for n, kept in enumerate(out.kept) if retry_errors and kept.status == "error"]
        kept = len(out.kept) - len(failed)
        new = {*failed, *range(len(out.kept), len(questions))}
        with progress("Answering", len(new)) as bar:
            asker = Asker(
                engines,
                options,
                stop=stop,
                sign=lambda question: bar.advance(question.number - 1 in new, question.question or ""),
            )
            job = _Job(out, asker, questions, keys, lambda: _refuse_change(source, generation))
            began, stopped = time.perf_counter(), False
            try:
                job.retry(failed)
                job.answer()
            except Stopped:
                stopped = True
        return Summary(
            **_counted(out.kept),
            rows=len(questions),
            missing=len(questions) - len(out.kept),
            kept=kept,
            prefill_tokens_per_second=_rate(asker.meter.read_tokens, asker.meter.read_seconds),
            decode_tokens_per_second=_rate(asker.meter.written_tokens, asker.meter.written_seconds),
            seconds=round(time.perf_counter() - began, 3),
            stopped=stopped,
            k=engines.plain.k if options.retrieval else None,
            model=None if options.extractive else engines.model.name,
            adapter=None if options.extractive else engines.model.adapter,
            output=str(output),
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """Windows of `questions` with their `keys` into `out`; `check` raises where answers may not be kept."""

    out: OutFile
    asker: Asker
    questions: Sequence[Question]
    keys: Sequence[str]
    check: Callable[[], None]

    def answer(self) -> None:
        """Append the rows that are not there. A window of which some are there is asked whole, so that each
        row has the company that it would have had.
        """
        for start in range(0, len(self.questions), WINDOW):
            if len(self.out.kept) < min(start + WINDOW, len(self.questions)):
                self.out.append(self._window(start)[len(self.out.kept) - start :])

    def retry(self, failed: Sequence[int]) -> None:
        """Ask the rows at these places again, in their windows, and put what comes of it there."""
        for start in dict.fromkeys(place // WINDOW * WINDOW for place in failed):
            rows = self._window(start)
            self.out.replace({n: rows[n - start] for n in failed if start <= n < start + WINDOW})

    def _window(self, start: int) -> list[dict[str, Any]]:
        window = slice(start, start + WINDOW)
        rows = self.asker.ask(self.questions[window], self.keys[window])
        self.check()
        return rows


def _refuse_change(source: Source, generation: int) -> None:
    if source.generation() != generation:
        raise Conflict(
            "The documents were changed while they were being asked.",
            hint="run it again with another file for the results",
            code="library_changed",
        )


def _facts(runtime: Runtime, engines: Engines) -> dict[str, Any]:
    """What the answers of all rows hang on, but for the model's weights."""
    library, settings = runtime.library, runtime.settings
    encoder = library.manifest("encoder_fingerprint")
    return {
        "program": __version__,
        "prompt": PROMPT_VERSION,
        "library": [library.manifest("created_at"), library.generation, encoder],
        "settings": [engines.plain.k, settings.mode, settings.per_source, settings.reranker],
        "model": [settings.model, settings.base_url, MAX_NEW_TOKENS],
    }


def _counted(rows: Sequence[Kept]) -> dict[str, Any]:
    """What the rows of the file add up to."""
    scored = [row for row in rows if row.em is not None and row.f1 is not None]
    count = {status: sum(row.status == status for row in rows) for status in ("ok", "refused", "error")}
    return {
        "answered": count["ok"],
        "refused": count["refused"],
        "errors": count["error"],
        "scored": len(scored),
        "em": _mean([row.em or 0.0 for row in scored]),
        "f1": _mean([row.f1 or 0.0 for row in scored]),
        "prompt_tokens": sum(row.prompt_tokens for row in rows),
        "completion_tokens": sum(row.completion_tokens for row in rows),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 6) if values else None


def _rate(tokens: int, seconds: float) -> float | None:
    return round(tokens / seconds, 1) if tokens and seconds else None
