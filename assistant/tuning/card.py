"""The card of a tuned adapter, from all that is known of its run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.prompt import PROMPT_VERSION
from finetune.card import Base, Card, Data, DocumentVersion, Parent, Serving, Setting, Source, Training
from index.cache_files import sha256_of

if TYPE_CHECKING:
    from assistant.tuning.runs import RunPlan
    from finetune.base_identity import BaseIdentity
    from finetune.tuning.data import TuningData
    from finetune.tuning.outcome import TuneResult

_PACKAGES = ("grounded-assistant", "torch", "transformers", "trl", "peft", "bitsandbytes")
_WEIGHTS = "adapter_model.safetensors"
_EMBEDDED_NOTE = "the Q4_1 rounding of SmolLM2-135M-Instruct"
# Rows that the package brings, by kind, with their licence; all others are of the user's documents.
_BROUGHT: Mapping[str, tuple[str, str]] = {
    "replay": ("seed tasks of the package", "Apache-2.0"),
    "out-of-domain": ("calibration questions of the package", "CC BY-SA 4.0"),
}
_DOCUMENTS, _FILE = "your documents", "a file of the user's"


@dataclass(frozen=True, slots=True)
class Lineage:
    """The adapter that a run begins from; `serving` is how it is asked."""

    name: str
    folder: Path
    weights_sha256: str
    serving: Serving | None
    licences: tuple[str, ...]


def build_card(
    plan: RunPlan,
    identity: BaseIdentity,
    data: TuningData,
    result: TuneResult,
    parent: Lineage | None,
    *,
    embedded: bool,
) -> Card:
    """The card of the adapter that `result` names, not judged yet."""
    if result.adapter is None:
        raise ValueError("a run that was stopped has no card")
    sources = _sources(data)
    examples = [one for one in data.taught if one.example_id]
    licences = {source.licence for source in sources if source.licence}
    return Card(
        name=plan.name,
        created=plan.created,
        base=Base(identity.name, identity.fingerprint, _EMBEDDED_NOTE if embedded else None),
        template_sha256=identity.template_sha256,
        prompt_version=PROMPT_VERSION,
        weights_sha256=_weights_sha256(result.adapter),
        method=str(plan.settings["method"]["value"]),
        data=Data(
            sha256=data.sha256,
            kinds=dict(sorted(Counter(row.kind for row in data.train).items())),
            methods=dict(sorted(Counter(one.method for one in examples if one.method).items())),
            languages=tuple(sorted({one.language for one in examples if one.language})),
            documents=tuple(DocumentVersion(one.path, one.sha256) for one in data.sources),
            sources=sources,
        ),
        serving=parent.serving if parent else None,
        parent=Parent(parent.name, parent.weights_sha256) if parent else None,
        settings=_settings(plan),
        versions=_versions(),
        training=Training(
            steps=result.steps,
            best_step=result.best_step,
            tokens=result.tokens,
            seconds=round(result.seconds, 3),
            peak_bytes=result.peak_bytes,
            train_loss=result.train_loss,
            validation_loss=result.validation_loss,
        ),
        licences=tuple(sorted(licences | set(parent.licences if parent else ()))),
    )


def _settings(plan: RunPlan) -> dict[str, Setting]:
    """Those of training, and what the budget decided."""

    def sized(words: str) -> str:
        return "budget" if any(line.endswith(words) for line in plan.left_out) else "default"

    return {
        **{name: Setting(one["value"], str(one["origin"])) for name, one in plan.settings.items()},
        "stage": Setting(plan.stage, "flag" if plan.stage != "sft" else "default"),
        "passages": Setting(plan.passages, sized(" passages a row")),
        "rows": Setting(plan.rows, sized(" rows")),
        "validation_rows": Setting(plan.validation_rows, sized(" validation rows")),
        "max_length": Setting(plan.max_length, "default"),
        "budget_seconds": Setting(plan.seconds, plan.budget_origin),
        "left_out": Setting("; ".join(plan.left_out), "budget"),
    }


def _sources(data: TuningData) -> tuple[Source, ...]:
    rows: Counter[tuple[str, str | None]] = Counter()
    for row in data.train:
        origin = data.origins.get(row.id)
        if origin is None and row.kind in _BROUGHT:
            rows[_BROUGHT[row.kind]] += 1
        elif origin is not None and (origin.documents or origin.example_id):
            rows[_DOCUMENTS, None] += 1
        else:
            rows[_FILE, None] += 1
    return tuple(Source(name, licence, count) for (name, licence), count in rows.most_common())


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _weights_sha256(folder: Path) -> str:
    """Of the adapter's weights; of a whole model the hash of the hashes of its files."""
    import hashlib

    if (folder / _WEIGHTS).is_file():
        return sha256_of(folder / _WEIGHTS)
    hashes = [sha256_of(path) for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()
