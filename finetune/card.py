"""The card of an adapter: what it was made from, what it fits, and how it was judged; `card.json` beside it.

An adapter's folder may come from anybody, so a card is read as untrusted data.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from corpora.errors import Conflict, StorageError
from finetune.strict_json import decode, read_json
from index.cache_files import make_durable

CARD = "card.json"
_FORMAT = 1
_LARGEST = 16 << 20  # bytes; a hundred thousand documents
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Base:
    """The model under the adapter; `note` says what rounding of it this is, if any."""

    name: str
    fingerprint: str  # finetune.base_identity.base_fingerprint
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """How the adapter is to be asked.

    `examples`: with the few answered questions in front. `refusal_threshold`: the probability of the refusal
    sentence's first token above which the model refuses; at or below it that token is banned as the first.
    None: the text that the model writes decides.
    """

    examples: bool
    refusal_threshold: float | None


@dataclass(frozen=True, slots=True)
class Parent:
    """The adapter whose weights were the beginning."""

    name: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """An adapter that went into a merge, with its weight in the sum."""

    name: str
    weights_sha256: str
    weight: float


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """A document of the library that was learned from; its version is the sha256 of its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows came from, with the licence of the text in them ("your documents" have none)."""

    name: str
    licence: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Data:
    """What was learned: rows by kind ("grounded", "missing", ...) and by the method that wrote them.

    `sha256` is of the rows themselves, in their order.
    """

    sha256: str
    kinds: Mapping[str, int]
    methods: Mapping[str, int]
    languages: tuple[str, ...]
    documents: tuple[DocumentVersion, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the run and where its value comes from."""

    value: bool | int | float | str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Training:
    """How the run went; `tokens` without padding, of all steps. `best_step` is the one that was kept."""

    steps: int
    best_step: int | None
    tokens: int
    seconds: float
    peak_bytes: int
    train_loss: float | None
    validation_loss: float | None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate said; `gate` is False where it was not asked (`--no-gate`), and `reason` says so.

    `table` are lines for people, `details` what `finetune.evaluation.gate.Verdict.row` gives.
    """

    promoted: bool
    gate: bool
    reason: str
    table: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Card:
    """See the module. `created` is ISO 8601, UTC. `weights_sha256` is of adapter_model.safetensors.

    `purpose` tells adapters that answer from those that write questions. `method` is that of the training,
    or "merge". `licences` are those under which the adapter may be passed on, by the licences of its data.
    """

    name: str
    created: str
    base: Base
    template_sha256: str
    prompt_version: str
    weights_sha256: str
    method: str
    data: Data
    serving: Serving | None
    purpose: Literal["answer", "question"] = "answer"
    parent: Parent | None = None
    merged_from: tuple[Part, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    training: Training | None = None
    verdict: GateVerdict | None = None
    licences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a name that is none, a hash that is none, a threshold outside [0, 1]."""
        if not is_adapter_name(self.name):
            raise ValueError(f"{self.name!r} is no name of an adapter")
        hashes = [self.base.fingerprint, self.template_sha256, self.weights_sha256, self.data.sha256]
        hashes += [part.weights_sha256 for part in self.merged_from]
        hashes += [self.parent.weights_sha256] if self.parent else []
        if not all(map(is_sha256, hashes)):
            raise ValueError("a hash is not 64 hex digits")
        threshold = self.serving.refusal_threshold if self.serving else None
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError("serving.refusal_threshold is outside of 0 to 1")

    @classmethod
    def read(cls, folder: Path) -> Card:
        """The card in `folder`. Raises Conflict (code bad_card) where it is missing, damaged or too new."""
        path = folder / CARD
        try:
            value = read_json(path, limit=_LARGEST)
            if isinstance(value, dict) and value.get("format") != _FORMAT:
                raise ValueError(f"its format is {value.get('format')!r}, and {_FORMAT} is known here")
            return decode(cls, value)
        except FileNotFoundError:
            raise Conflict(f"{folder.name} has no {CARD}.", code="bad_card") from None
        except OSError as error:
            raise Conflict(f"{path} cannot be read: {error.strerror}.", code="bad_card") from error
        except ValueError as error:
            raise Conflict(f"The card of {folder.name} is damaged: {error}.", code="bad_card") from error

    def write(self, folder: Path) -> None:
        """Put card.json into `folder`, whole or not at all. Raises StorageError."""
        building = folder / f".tmp-{os.getpid()}-{CARD}"
        try:
            building.write_bytes(_spelled(self.as_json()))
            make_durable([building])
            building.rename(folder / CARD)
            make_durable([folder])
        except OSError as error:
            raise StorageError(f"{folder / CARD} could not be written: {error.strerror}.") from error

    @property
    def trained_by(self) -> str | None:
        """The method of training; of a merged adapter that of its parts, None where these had several."""
        if self.method != "merge":
            return self.method
        kept = self.settings.get("method")
        return None if kept is None else str(kept.value)

    def as_json(self) -> dict[str, Any]:
        """As in card.json; every key is there."""
        return {"format": _FORMAT, **dataclasses.asdict(self)}


def is_sha256(text: str) -> bool:
    """Whether it is a hash as cards and exported rows hold them: 64 hex digits."""
    return _SHA256.fullmatch(text) is not None


def is_adapter_name(name: str) -> bool:
    """Letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 64; never "none"."""
    return _NAME.fullmatch(name) is not None and name != "none"


def _spelled(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # a file name that is not valid UTF-8 lives in lone surrogates
        return json.dumps(value, indent=1, allow_nan=False).encode() + b"\n"
