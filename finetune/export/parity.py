"""Does an export answer as the adapter does? The same prompt ids, greedy, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from finetune.export.answers import Written
from finetune.measures import f1

# Measured with SmolLM2-135M and an adapter, 16 to 24 prompts of 800 tokens. Sound exports, difference of a
# token's log-probability and identical answers: merged 0.007, 16 of 16; GGUF f16 0.006, 16 of 16, q8_0 0.012,
# 23 of 24; merged on NF4 0.009, 15 of 16, the other from a tie on. Unsound: what was trained on NF4 merged on
# unrounded weights 0.055, 10 of 16 identical and 14 agreeing; the base alone 0 of 16.
MOST_DIFFERENCE = 0.04
LEAST_AGREEING = 0.9
LEAST_CUT_ALIKE = 0.95
TIE = 0.25  # the distance of neighbouring logits over 32 in bfloat16: the arithmetic cannot tell them apart


@dataclass(frozen=True, slots=True)
class Prompt:
    """A held-out question as the model is asked it."""

    question: str
    text: str  # what the user's turn says, passages and all
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with both answers; `texts` are the adapter's and the export's.

    `differences` are |log p - log p'| of the tokens up to the first that differs. `gap` is how decided the
    adapter was there (its best choice before the second); None: the answers are identical.
    """

    question: str
    texts: tuple[str, str]
    differences: tuple[float, ...]
    gap: float | None

    @property
    def identical(self) -> bool:
        """Token by token."""
        return self.gap is None

    @property
    def agrees(self) -> bool:
        """Identical, or different only from where the adapter might as well have written the other."""
        return self.gap is None or self.gap <= TIE

    @property
    def f1(self) -> float:
        """Of the words of one in the other."""
        return f1(*self.texts)


@dataclass(frozen=True, slots=True)
class Parity:
    """What was found. `texts_cut_alike` counts texts that both tokenizers cut alike; None: there is one."""

    pairs: tuple[Pair, ...]
    texts_cut_alike: int | None

    @property
    def identical(self) -> int:
        """Answers that are equal token by token."""
        return sum(pair.identical for pair in self.pairs)

    @property
    def agreeing(self) -> int:
        """These, and such as differ from a tie on."""
        return sum(pair.agrees for pair in self.pairs)

    @property
    def mean_f1(self) -> float:
        """Of the answers of one against those of the other."""
        return sum(pair.f1 for pair in self.pairs) / len(self.pairs)

    @property
    def mean_difference(self) -> float | None:
        """Mean |Δ log-probability| of a token; None where no token was written by both."""
        values = [one for pair in self.pairs for one in pair.differences]
        return sum(values) / len(values) if values else None

    @property
    def passed(self) -> bool:
        """All bounds are kept (`LEAST_AGREEING`, `MOST_DIFFERENCE`, `LEAST_CUT_ALIKE`)."""
        close = self.mean_difference is None or self.mean_difference <= MOST_DIFFERENCE
        cut = self.texts_cut_alike is None or self.texts_cut_alike >= LEAST_CUT_ALIKE * len(self.pairs)
        return self.agreeing >= LEAST_AGREEING * len(self.pairs) and close and cut

    def row(self) -> dict[str, Any]:
        """As JSON."""
        difference = self.mean_difference
        return {
            "questions": len(self.pairs),
            "identical": self.identical,
            "agreeing": self.agreeing,
            "f1": round(self.mean_f1, 4),
            "log_probability_difference": None if difference is None else round(difference, 5),
            "texts_cut_alike": self.texts_cut_alike,
            "passed": self.passed,
        }


def compare(
    prompts: Sequence[Prompt],
    reference: Sequence[Written],
    exported: Sequence[Written],
    decode: Callable[[Sequence[int]], str],
    texts_cut_alike: int | None,
) -> Parity:
    """Pair what both wrote to `prompts`."""
    pairs = []
    for prompt, ours, theirs in zip(prompts, reference, exported, strict=True):
        texts = (decode(ours.ids), decode(theirs.ids))
        pairs.append(Pair(prompt.question, texts, _differences(ours, theirs), _gap(ours, theirs)))
    return Parity(tuple(pairs), texts_cut_alike)


def _gap(ours: Written, theirs: Written) -> float | None:
    """Where the ends differ: at the end of the shorter one. Infinite where it is not known."""
    if ours.ids == theirs.ids:
        return None
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ours.ids, theirs.ids, strict=False)))
    return ours.gaps[same] if same < len(ours.gaps) else math.inf


def _differences(ours: Written, theirs: Written) -> tuple[float, ...]:
    found: list[float] = []
    tokens = zip(ours.ids, theirs.ids, ours.logs, theirs.logs, strict=False)
    for token, other, log, other_log in tokens:
        if token != other:
            break
        if log is not None and other_log is not None:
            found.append(abs(log - other_log))
    return tuple(found)
