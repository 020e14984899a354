"""What a model keeps of its general skills when it is taught from documents.

The probe: human-written tasks that no training row was made of. Asked is how likely the model finds the
human's answer, and whether it now refuses the task as if it were a question about documents, which a mean
over the tokens of a long answer would hardly show.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from corpora.prompt import Language
from corpora.records import Message
from corpora.seeds.tasks import NOT_FOR_TRAINING, load_seeds
from finetune.evaluation.paired import Difference, compare
from finetune.evaluation.scores import says_refusal
from finetune.rows.records import GeneralTask
from finetune.rows.replay import general_messages
from finetune.teacher import Ask, Reply

MOST_LOST = 0.1  # of the mean log-likelihood of a token: perplexity up by 10.5 %
MOST_REFUSED = 0.05  # of the tasks, more than before
_OPENING_TOKENS = 32  # the sentence that refuses has 10 in English, in Chinese up to three a character
_AT_ONCE = 16
_RESERVED = 0.3  # of the shipped tasks


class ProbedModel(Protocol):
    """A chat model that says how likely its replies are, and writes many; a local one can."""

    def reply_log_likelihoods(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]: ...

    def generate_batch(self, asks: Sequence[Ask]) -> list[Reply]: ...


@dataclass(frozen=True, slots=True)
class Probe:
    """What a model made of the tasks: log-likelihood of a token of the human answer, and whether refused."""

    tasks: tuple[str, ...]
    log_likelihoods: tuple[float, ...]
    refused: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """A probe before and after; `lost` is what decides, in natural log a token."""

    change: Difference  # of the log-likelihood, after minus before
    before: float
    after: float
    refused_before: float
    refused_after: float

    @property
    def lost(self) -> bool:
        """Whether skills are gone: more than a tenth of the perplexity, or tasks refused that were not."""
        return self.change.mean < -MOST_LOST or self.refused_after - self.refused_before > MOST_REFUSED + 1e-9

    def line(self) -> str:
        """For the terminal and the card."""
        if not self.change.n:
            return "general tasks: none left that were not taught, so nothing can be said"
        interval = f"[{self.change.low:+.3f}, {self.change.high:+.3f}]"
        return (
            f"general tasks ({self.change.n}): log-likelihood a token {self.before:.3f} before,"
            f" {self.after:.3f} after ({self.change.mean:+.3f} {interval}, at most {-MOST_LOST:+.1f});"
            f" refused {self.refused_before:.0%} before, {self.refused_after:.0%} after"
        )

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "tasks": self.change.n,
            "log_likelihood_before": round(self.before, 4),
            "log_likelihood_after": round(self.after, 4),
            "interval": [round(self.change.low, 4), round(self.change.high, 4)],
            "refused_before": round(self.refused_before, 4),
            "refused_after": round(self.refused_after, 4),
            "lost": self.lost,
        }


def reserved(task_id: str) -> bool:
    """Whether a shipped task is kept for the probe: always the same three tenths."""
    return drawn(task_id) < _RESERVED


def drawn(name: str) -> float:
    """A number in [0, 1), always the same one for the same name."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big") / 2**32


def probe_tasks(languages: Collection[Language], taught: Collection[str] = ()) -> tuple[GeneralTask, ...]:
    """The reserved shipped tasks, less those whose instructions were `taught` all the same."""
    known = set(taught)
    return tuple(
        GeneralTask(f"{language}:{task.id}", task.instruction, case.input, case.output, language)
        for language in sorted(languages)
        for task in load_seeds(language)
        for case in task.instances[:1]
        if reserved(task.id) and task.id not in NOT_FOR_TRAINING and task.instruction not in known
    )


def probe(model: ProbedModel, tasks: Sequence[GeneralTask]) -> Probe:
    """Ask `model` for each task how likely the human answer is, and how it would begin its own."""
    asked = [general_messages(task.instruction, task.input) for task in tasks]
    likelihoods: list[float] = []
    refused: list[bool] = []
    for start in range(0, len(tasks), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        pairs = [(said, task.output) for said, task in zip(asked[some], tasks[some], strict=True)]
        likelihoods += model.reply_log_likelihoods(pairs)
        replies = model.generate_batch([Ask(said, _OPENING_TOKENS) for said in asked[some]])
        refused += [says_refusal(reply.text or "") for reply in replies]
    return Probe(tuple(task.id for task in tasks), tuple(likelihoods), tuple(refused))


def forgetting(before: Probe, after: Probe, *, seed: int = 0) -> Forgetting:
    """Compare two probes. Raises ValueError where they are of other tasks.

    A task whose likelihood is no number in either (over the context) is left out.
    """
    if before.tasks != after.tasks:
        raise ValueError("the two probes are not of the same tasks")
    places = [
        at
        for at, both in enumerate(zip(before.log_likelihoods, after.log_likelihoods, strict=True))
        if all(map(math.isfinite, both))
    ]
    first = [before.log_likelihoods[at] for at in places]
    second = [after.log_likelihoods[at] for at in places]
    return Forgetting(
        change=compare(second, first, seed=seed),
        before=_mean(first),
        after=_mean(second),
        refused_before=_mean(before.refused),
        refused_after=_mean(after.refused),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)
