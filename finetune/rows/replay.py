"""General instructions among the rows, so that a model taught from documents does not forget how to chat."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

from corpora.prompt import escape, language_of
from corpora.records import Message
from finetune.rows.records import GeneralTask, RowMix, TrainingRow


def general_messages(
    instruction: str, input_text: str, history: Sequence[Message] = ()
) -> tuple[Message, ...]:
    """A task as plain chat: what was said before, then the instruction with what it works on."""
    text = f"{instruction}\n\n{input_text}" if input_text else instruction
    said = [Message(turn.role, escape(turn.content).strip()) for turn in history]
    return (*said, Message("user", escape(text).strip()))


def replayed(
    tasks: Sequence[GeneralTask],
    mix: RowMix,
    general: int,
    others: int,
    fits: Callable[[Sequence[Message]], bool],
) -> Iterator[TrainingRow]:
    """Training rows of `tasks`, each at most once, until their share of all is `mix.replay`.

    `general` instructions are there already, beside `others`.
    """
    wanted = math.ceil(mix.replay / (1 - mix.replay) * others - 1e-9) - general
    order = sorted(tasks, key=lambda task: task.id)
    random.Random(f"{mix.seed}:replay").shuffle(order)  # noqa: S311 - a draw, no secret
    for task in order:
        if wanted <= 0:
            return
        messages = general_messages(task.instruction, task.input)
        completion = Message("assistant", task.output)
        if fits((*messages, completion)):
            wanted -= 1
            yield TrainingRow(
                kind="replay",
                split="train",
                language=language_of(task.instruction),
                messages=messages,
                completion=completion,
                question=task.instruction,
                answer=task.output,
            )
