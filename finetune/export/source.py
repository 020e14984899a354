"""What is exported: a base with an adapter on it, or a model that was tuned as a whole."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import Conflict, Missing
from finetune.adapters.config import CONFIG, AdapterConfig, read_config
from finetune.adapters.fitting import check_shapes, check_shapes_on
from finetune.adapters.resolve import checked
from finetune.adapters.store import Adapter
from finetune.adapters.weights import check_weights
from finetune.base_identity import identity_of
from finetune.card import CARD, Card
from finetune.export.rounding import ROUNDINGS, Rounding


@dataclass(frozen=True, slots=True)
class Source:
    """`folder` holds the adapter (`config` is its kind), or the whole model, where `config` is None.

    `rounding` is what the training did to the base's weights: an adapter makes up for it, so that it is put
    on the rounded weights in an export too. `card` is None for an adapter from elsewhere.
    """

    name: str
    folder: Path
    base_name: str
    base_folder: Path
    config: AdapterConfig | None
    card: Card | None
    rounding: Rounding | None

    @property
    def is_whole(self) -> bool:
        """Whether the folder is a model by itself (full tuning, or all but the last layers frozen)."""
        return self.config is None

    @property
    def file_name(self) -> str:
        """The name as part of a file name."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip(".-") or "model"

    @property
    def languages(self) -> tuple[str, ...]:
        """Of what it learned from; () where that is not known."""
        return self.card.data.languages if self.card else ()

    @property
    def licences(self) -> tuple[str, ...]:
        """Under which it may be passed on, as far as that is known."""
        return self.card.licences if self.card else ()

    @property
    def weights_folder(self) -> Path:
        """Where the weights are that an adapter is put on, or that are the model."""
        return self.folder if self.is_whole else self.base_folder

    @property
    def method(self) -> str:
        """How it was trained, as far as that is known."""
        if self.card is not None:
            return self.card.method
        return "full" if self.is_whole else "lora"

    @property
    def examples(self) -> bool:
        """Whether it is asked with answered questions in front."""
        return bool(self.card and self.card.serving and self.card.serving.examples)

    @property
    def refusal_threshold(self) -> float | None:
        """The probability that decides refusals in this program, and nowhere else."""
        return self.card.serving.refusal_threshold if self.card and self.card.serving else None

    def require_mergeable(self) -> None:
        """Raises Conflict where there are no weights that the base's could be changed by."""
        if self.config is not None and not self.config.is_lora:
            raise Conflict(
                f"The adapter {self.name} is made of virtual tokens ({self.method}), which are no weights of "
                "the model and cannot be merged into it.",
                hint=f"assistant export {self.name} --format peft -o FOLDER",
                code="not_mergeable",
            )


def read_source(folder: Path, *, offline: bool) -> Source:
    """What is in `folder`, with the base that it names, every file of the adapter checked.

    Raises Missing where there is nothing, or no base; Conflict for what is damaged or does not fit.
    """
    if not (folder / CONFIG).is_file():
        return _whole(folder, offline=offline)
    config = read_config(folder)
    card = Card.read(folder) if (folder / CARD).is_file() else None
    base_name = card.base.name if card else config.base
    if base_name is None:
        raise Conflict(f"The adapter in {folder} does not say what its base is.", code="wrong_base")
    base_folder = _base_folder(base_name, offline=offline)
    name = card.name if card else folder.name
    if card is not None:
        checked(
            Adapter(name, folder, shipped=False), identity_of(base_name, base_folder), base_folder, "named"
        )
    else:
        tensors = check_weights(folder, None)
        check_shapes(name, config, tensors)
        check_shapes_on(name, base_folder, tensors)
    return Source(name, folder, base_name, base_folder, config, card, _rounding(card))


def _whole(folder: Path, *, offline: bool) -> Source:
    """A model that was tuned as a whole; without a card its tokenizer is its own."""
    if not ((folder / "config.json").is_file() and any(folder.glob("*.safetensors"))):
        raise Missing(
            f"{folder} holds neither an adapter nor a model.",
            hint="assistant adapters list",
            code="adapter_missing",
        )
    card = Card.read(folder) if (folder / CARD).is_file() else None
    if card is None:
        return Source(folder.name, folder, str(folder), folder, None, None, None)
    base_folder = _base_folder(card.base.name, offline=offline)
    return Source(card.name, folder, card.base.name, base_folder, None, card, None)


def _base_folder(name: str, *, offline: bool) -> Path:
    from index.weights import model_folder

    folder = model_folder(name, offline=offline)
    if json_object(folder / "config.json").get("quantization_config"):
        raise Conflict(
            f"{name} is stored in few bits; an export needs its whole weights.",
            hint="tune the model that it was made from",
            code="model_unusable",
        )
    return folder


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises Conflict for anything else."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Conflict(f"{path} cannot be read: {error}.", code="model_unusable") from error
    if not isinstance(value, dict):
        raise Conflict(f"{path} is no object.", code="model_unusable")
    return value


def _rounding(card: Card | None) -> Rounding | None:
    """What the base was rounded to while the adapter was trained; None: nothing, or nobody knows."""
    return None if card is None or card.trained_by is None else ROUNDINGS.get(card.trained_by)
