"""How likely a text is behind another, by a local model: batched, logits only of the text in question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from assistant.chat_models.prefill import Prefiller

_TOKENS_AT_ONCE = 4096  # of prompts with padding: bounds the memory of a pass
_LOGITS_AT_ONCE = 512  # rows of the vocabulary's size: 100 MB in float32 for 50,000 words
_ROWS_AT_ONCE = 32


def mean_log_likelihoods(prefiller: Prefiller, pairs: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    """Mean natural log of the probability of each token of the second ids, behind the first (not empty).

    Minus infinity where the second is empty. Softmax in float32 whatever the weights are in.
    """
    results = [float("-inf")] * len(pairs)
    for places in _batches(pairs):
        found = _batch([pairs[place] for place in places], prefiller)
        for place, value in zip(places, found, strict=True):
            results[place] = value
    return results


def _batches(pairs: Sequence[tuple[list[int], list[int]]]) -> Iterator[list[int]]:
    """Places of `pairs` by length, in groups that fit a pass."""
    lengths = [len(first) + len(second) for first, second in pairs]
    order = sorted((n for n, (_, second) in enumerate(pairs) if second), key=lambda n: (lengths[n], n))
    group: list[int] = []
    asked = 0
    for place in order:
        rows = len(group) + 1
        asked = max(asked, len(pairs[place][1]))
        full = lengths[place] * rows > _TOKENS_AT_ONCE or asked * rows > _LOGITS_AT_ONCE
        if group and (full or rows > _ROWS_AT_ONCE):
            yield group
            group, asked = [], len(pairs[place][1])
        group.append(place)
    if group:
        yield group


def _batch(pairs: Sequence[tuple[list[int], list[int]]], prefiller: Prefiller) -> list[float]:
    # The last token of a row predicts nothing that is asked; the one before the second text does.
    prompts = [[*first, *second[:-1]] for first, second in pairs]
    logits = prefiller.read(prompts, kept=max(len(second) for _, second in pairs)).logits
    return [_mean(logits[n, -len(second) :], second) for n, (_, second) in enumerate(pairs)]


def _mean(logits: torch.Tensor, tokens: Sequence[int]) -> float:
    import torch

    wanted = torch.tensor(tokens, device=logits.device)
    with torch.inference_mode():
        return float(-torch.nn.functional.cross_entropy(logits.float(), wanted))
