"""The weighted sum of several LoRA adapters of one base as one adapter, exact: nothing is approximated.

The change that an adapter makes to a layer is s B A with B (out, rank), A (rank, in) and s its scaling. The
sum of w s B A over the parts is one product again, of all A one below the other and all w s B side by side;
its rank is the sum of the ranks (as peft's `cat`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict, UsageError
from corpora.store import Library
from corpora.store.writer import now_text
from finetune.adapters.config import CONFIG, AdapterConfig, read_config
from finetune.adapters.fitting import by_module, check_adapter, lora_pairs
from finetune.adapters.store import Adapter, building, find, weights_sha256
from finetune.adapters.weights import WEIGHTS, read_header
from finetune.card import Card, Data, DocumentVersion, GateVerdict, Part, Serving, Setting, Source
from finetune.strict_json import read_json

if TYPE_CHECKING:
    import torch

_SUFFIXES = ("lora_A.weight", "lora_B.weight")


@dataclass(frozen=True, slots=True)
class _Piece:
    adapter: Adapter
    card: Card
    config: AdapterConfig
    weight: float


def merge(library: Library, name: str, weights: Mapping[str, float]) -> Adapter:
    """Make the adapter `name` out of those named in `weights`, each with its weight in the sum.

    The new one is not put to use, and no gate has judged it. Raises UsageError for fewer than two or a
    weight that is no number, Missing, Conflict for adapters that do not belong together.
    """
    if len(weights) < 2 or not all(math.isfinite(weight) and weight for weight in weights.values()):
        raise UsageError("A merge takes two adapters or more, each with a weight that is not 0.")
    pieces = [_piece(find(one, library), weight) for one, weight in weights.items()]
    first = pieces[0]
    for other in pieces[1:]:
        _check_together(first.card, other.card)
    with building(library, name) as folder:
        ranks = _write_weights(pieces, folder)
        _write_config(first.adapter.folder, ranks, folder)
        _card(name, pieces, weights_sha256(folder)).write(folder)
    return find(name, library)


def _piece(adapter: Adapter, weight: float) -> _Piece:
    card, config = check_adapter(adapter.folder), read_config(adapter.folder)
    if not config.is_lora or config.dora:
        raise Conflict(
            f"{adapter.name} cannot be merged: {'DoRA' if config.dora else config.kind} does not add up.",
            hint="merge adapters of the methods lora, rslora, qlora and int8",
            code="not_mergeable",
        )
    return _Piece(adapter, card, config, weight)


def _check_together(one: Card, other: Card) -> None:
    facts = (
        ("another base model", "wrong_base", one.base.fingerprint, other.base.fingerprint),
        ("another chat template", "wrong_template", one.template_sha256, other.template_sha256),
        ("prompts of another version", "wrong_prompt", one.prompt_version, other.prompt_version),
        ("another purpose", "not_mergeable", one.purpose, other.purpose),
        ("prompts with other examples", "not_mergeable", _examples(one), _examples(other)),
    )
    for what, code, mine, theirs in facts:
        if mine != theirs:
            raise Conflict(f"{one.name} and {other.name} do not add up: {what}.", code=code)


def _examples(card: Card) -> bool | None:
    return card.serving.examples if card.serving else None


def _write_weights(pieces: Sequence[_Piece], folder: Path) -> dict[str, int]:
    """Returns the rank of each layer."""
    import torch
    from safetensors.torch import load_file, save_file

    stacks: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    kinds: set[torch.dtype] = set()
    for piece in pieces:
        tensors = load_file(piece.adapter.folder / WEIGHTS)
        for module in lora_pairs(read_header(piece.adapter.folder)):
            a, b = (tensors[f"base_model.model.{module}.{suffix}"] for suffix in _SUFFIXES)
            kinds |= {a.dtype, b.dtype}
            factor = piece.weight * _scaling(piece.config, module)
            stacks.setdefault(module, []).append((a.float(), b.float() * factor))
    dtype = kinds.pop() if len(kinds) == 1 else torch.float32
    merged = {}
    for module, parts in stacks.items():
        a = torch.cat([one for one, _ in parts], dim=0)
        b = torch.cat([one for _, one in parts], dim=1)
        for suffix, matrix in zip(_SUFFIXES, (a, b), strict=True):
            merged[f"base_model.model.{module}.{suffix}"] = matrix.to(dtype).contiguous()
    save_file(merged, folder / WEIGHTS, metadata={"format": "pt"})
    return {module: sum(one.shape[0] for one, _ in parts) for module, parts in stacks.items()}


def _scaling(config: AdapterConfig, module: str) -> float:
    rank = by_module(config.ranks, module, config.rank)
    alpha = by_module(config.alphas, module, config.alpha)
    return alpha / (math.sqrt(rank) if config.rank_stabilised else rank)


def _write_config(source: Path, ranks: Mapping[str, int], folder: Path) -> None:
    """That of the first part, with the new ranks; alpha is the rank, so that the scaling is 1."""
    config: dict[str, Any] = read_json(source / CONFIG, limit=1 << 20)
    usual = max(ranks.values())
    others = {module: rank for module, rank in ranks.items() if rank != usual}
    config |= {
        "r": usual,
        "lora_alpha": usual,
        "rank_pattern": others,
        "alpha_pattern": others,
        "use_rslora": False,
        "lora_dropout": 0.0,
        "init_lora_weights": True,
        "target_modules": sorted(ranks),
        "exclude_modules": None,
        "layers_to_transform": None,
        "layers_pattern": None,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")


def _card(name: str, pieces: Sequence[_Piece], sha256: str) -> Card:
    cards = [piece.card for piece in pieces]
    parts = tuple(Part(one.adapter.name, one.card.weights_sha256, one.weight) for one in pieces)
    return replace(
        cards[0],
        name=name,
        created=now_text(),
        weights_sha256=sha256,
        method="merge",
        data=_data([card.data for card in cards]),
        serving=_serving(pieces),
        parent=None,
        merged_from=parts,
        settings=_rounding(cards),
        training=None,
        verdict=GateVerdict(False, False, "merged from other adapters; no gate has judged it"),
        licences=tuple(dict.fromkeys(licence for card in cards for licence in card.licences)),
    )


def _rounding(cards: Sequence[Card]) -> dict[str, Setting]:
    """The method that all parts share: exports round the base as it was rounded in their training."""
    methods = {one.trained_by for one in cards}
    shared = methods.pop() if len(methods) == 1 else None
    return {"method": Setting(shared, "that of the merged adapters")} if shared else {}


def _serving(pieces: Sequence[_Piece]) -> Serving | None:
    """A threshold belongs to one adapter's probabilities; of several, the weighted mean is a guess."""
    first = pieces[0].card.serving
    thresholds = [piece.card.serving.refusal_threshold for piece in pieces if piece.card.serving]
    known = [one for one in thresholds if one is not None]
    if first is None or len(known) < len(pieces):
        return replace(first, refusal_threshold=None) if first else None
    shares = [abs(piece.weight) for piece in pieces]
    mean = sum(share * one for share, one in zip(shares, known, strict=True)) / sum(shares)
    return replace(first, refusal_threshold=mean)


def _data(parts: Sequence[Data]) -> Data:
    """All that any part learned from; a document of two versions is there twice."""
    documents: dict[DocumentVersion, None] = {}
    sources: dict[tuple[str, str | None], int] = {}
    for part in parts:
        documents |= dict.fromkeys(part.documents)
        for source in part.sources:
            key = (source.name, source.licence)
            sources[key] = sources.get(key, 0) + source.rows
    return Data(
        sha256=hashlib.sha256(" ".join(part.sha256 for part in parts).encode()).hexdigest(),
        kinds=_summed([part.kinds for part in parts]),
        methods=_summed([part.methods for part in parts]),
        languages=tuple(sorted({language for part in parts for language in part.languages})),
        documents=tuple(documents),
        sources=tuple(Source(name, licence, rows) for (name, licence), rows in sources.items()),
    )


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for one in counts for name in one)
    return {name: sum(one.get(name, 0) for one in counts) for name in names}
