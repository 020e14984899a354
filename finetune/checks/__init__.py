"""Checks of candidates, each with its own reason to reject; see `run` for which looks at what."""

from __future__ import annotations

from finetune.checks.reading import Gate, Pair, PairScorer, is_measured, measure, open_gate
from finetune.checks.records import MEANING, REASONS, Checked, Fault, Reason
from finetune.checks.run import Checks
from finetune.checks.seen import Seen

__all__ = [
    "MEANING",
    "REASONS",
    "Checked",
    "Checks",
    "Fault",
    "Gate",
    "Pair",
    "PairScorer",
    "Reason",
    "Seen",
    "is_measured",
    "measure",
    "open_gate",
]
