"""Which model reads back what was generated: the shipped adapter's, once measured; the teacher stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_chat import write_adapter, write_model

from assistant import reading_back
from assistant.chat_models import load_chat_model
from assistant.chat_models.local import LocalChatModel
from assistant.reading_back import reading_model, scorers
from assistant.settings import Settings, resolve
from corpora.records import Passage
from finetune.adapters import store
from finetune.card import Serving
from finetune.chat_teacher import teacher_fingerprint, teacher_name
from finetune.checks.reading import Pair, is_measured
from finetune.teacher import Ask, Reply


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture()
def settings(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the tiny model, for which an adapter is shipped that refuses everything."""
    monkeypatch.setattr(store, "files", lambda _package: tmp_path)
    write_adapter(tmp_path / "shipped" / "reading", base, serving=Serving(False, 0.0))
    return replace(resolve(None), model=str(base), offline=True)


def test_a_shipped_adapter_reads_once_it_was_measured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = load_chat_model(settings.model)
    assert reading_model(settings, teacher) is teacher  # nobody knows what its word is worth
    known = {f"{settings.model}+reading"}
    monkeypatch.setattr(reading_back, "is_measured", known.__contains__)
    reading = reading_model(settings, teacher)
    assert isinstance(reading, LocalChatModel)
    assert teacher_name(reading) in known and teacher_name(teacher) == settings.model
    assert teacher_fingerprint(reading) != teacher_fingerprint(teacher)
    for named in ("none", "mine"):
        assert reading_model(replace(settings, adapter=named), teacher) is teacher
    assert reading_model(replace(settings, base_url="http://127.0.0.1:9/v1"), teacher) is teacher


class Direct:
    """A teacher over a local model, without a cache."""

    def __init__(self, model: LocalChatModel) -> None:
        self.name, self.fingerprint, self._model = model.model_name, model.fingerprint, model
        self.asked: list[Ask] = []

    def ask(self, asks: list[Ask]) -> list[Reply]:  # type: ignore[override]
        self.asked += asks
        return self._model.generate_batch(asks)


def test_a_tuned_reader_is_asked_as_it_is_served_and_has_records_of_its_own(settings: Settings) -> None:
    text = "The lighthouse was built in 1874."
    pair = Pair(
        "When?", "1874", (Passage(1, "p", "d", "a.md", "md", 0, 0, len(text), 1, 1, None, None, text),)
    )
    prints: set[str] = set()
    for adapter, turns in ((None, 6), ("reading", 2)):
        model = load_chat_model(settings.model, adapter=adapter)
        assert isinstance(model, LocalChatModel)
        direct = Direct(model)
        likelihood, reader = scorers(model, direct, None)
        assert reader.scores([pair])[0] is not None
        assert likelihood.scores([pair])[0] is not None
        assert len(direct.asked[0].messages) == turns
        prints |= {likelihood.fingerprint, reader.fingerprint}
    assert reader.scores([pair]) == [0.0]  # it refused
    assert len(prints) == 4
    assert len(scorers(model, direct, direct)) == 3


def test_the_package_knows_which_readers_were_measured() -> None:
    assert is_measured("smollm2-135m")
    assert not is_measured("smollm2-135m+nobody")
