"""What a verdict does: the card keeps it, and only what is promoted answers from now on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import adapter_makers
import pytest
from evaluation_makers import made

from assistant.chat_models.adapters import Fitting
from assistant.tuning.gating import Judgement
from assistant.tuning.verdicts import conclude, incumbents, verdict_of
from corpora.store import Library
from finetune.adapters.active import choice_for, choose
from finetune.card import Card, GateVerdict
from finetune.evaluation.contest import Held
from finetune.evaluation.gate import Contest, Runs, decide
from index.sync_options import Hooks


def judgement(candidate: float, *, asked: int = 20, of: int = 20) -> Judgement:
    """Of a candidate with this F1 beside a base with 0.2, which is the incumbent too."""
    base = Runs(tuple(made(n, f1=0.2, em=0.0) for n in range(asked)))
    ours = Runs(tuple(made(n, f1=candidate, em=0.0) for n in range(asked)))
    contest = Contest("held-out", base, base, ours)
    return Judgement(decide([contest], None), Held((contest,), asked, of, False))


@pytest.fixture()
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "lib")


def put(library: Library, tmp_path: Path, name: str) -> tuple[Card, Path]:
    base = adapter_makers.write_base(tmp_path / f"base-{name}")
    folder = adapter_makers.put(library, base, name).folder
    return Card.read(folder), folder


def test_what_is_better_answers_from_now_on(library: Library, tmp_path: Path) -> None:
    card, folder = put(library, tmp_path, "better")
    verdict = verdict_of(judgement(0.8))
    done = conclude(library, card, folder, verdict, use=verdict.promoted)
    assert verdict.promoted and verdict.gate and done.active
    assert choice_for(library, "small").name == "better"
    kept = Card.read(folder).verdict
    assert kept is not None and kept.promoted and kept.table[-1] == "verdict: promoted"
    assert kept.details["gain"] == pytest.approx(0.6)


def test_what_is_no_better_is_kept_and_does_not_answer(library: Library, tmp_path: Path) -> None:
    card, folder = put(library, tmp_path, "same")
    verdict = verdict_of(judgement(0.2))
    done = conclude(library, card, folder, verdict, use=verdict.promoted)
    assert not verdict.promoted and verdict.gate and not done.active
    assert verdict.reason == "failed: better"
    assert choice_for(library, "small").name is None
    assert Card.read(folder).verdict == verdict


def test_a_candidate_that_answers_already_is_not_compared_with_itself(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {name: put(library, tmp_path, name)[1] for name in ("before", "candidate")}
    asked: list[str | None] = []

    def adapter_for(_base: str, _folder: Path, named: str | None, *_: Any, **__: Any) -> Fitting:
        asked.append(named)
        name = named or choice_for(library, "small").name
        assert name is not None
        return Fitting(name, folders[name], None)

    monkeypatch.setattr("assistant.chat_models.adapters.adapter_for", adapter_for)
    runtime = SimpleNamespace(settings=SimpleNamespace(adapter=None), library=library)
    base = SimpleNamespace(
        choice=SimpleNamespace(value="small"), folder=tmp_path, identity=SimpleNamespace(name="small")
    )
    for name in ("before", "candidate"):
        choose(library, "small", name)
    found: Any = incumbents(runtime, base, Hooks(), folders["candidate"])  # type: ignore[arg-type]
    assert [one.adapter for one in found] == [None, "before"]
    assert asked == [None, "before"]
    again: Any = incumbents(runtime, base, Hooks())  # type: ignore[arg-type]
    assert again[1].adapter == "candidate"


def test_questions_that_were_left_for_want_of_time_are_told() -> None:
    assert "12 of 40 questions, for want of time" in verdict_of(judgement(0.8, asked=12, of=40)).reason


def test_no_time_is_no_judgement() -> None:
    verdict = verdict_of(Judgement(None, Held((), 0, 40, False)))
    assert (verdict.promoted, verdict.gate) == (False, False) and "no time" in verdict.reason


def test_without_the_gate_only_use_puts_it_to_use(library: Library, tmp_path: Path) -> None:
    unjudged = GateVerdict(False, False, "not judged: --no-gate")
    card, folder = put(library, tmp_path, "one")
    assert not conclude(library, card, folder, unjudged, use=False).active
    assert conclude(library, card, folder, unjudged, use=True).active
    assert choice_for(library, "small").name == "one"


def test_a_whole_model_is_never_put_to_use_as_an_adapter(library: Library, tmp_path: Path) -> None:
    card, folder = put(library, tmp_path, "whole")
    (folder / "adapter_config.json").unlink()
    assert not conclude(library, card, folder, verdict_of(judgement(0.8)), use=True).active
    assert choice_for(library, "small").name is None
