"""Is a task a classification? It decides whether its cases are written output first or input first.

Twelve tasks that are and nineteen that are not are shown, as in the public code of Self-Instruct.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from corpora.prompt import Language
from corpora.records import Message
from corpora.seeds.tasks import SeedTask, load_seeds
from finetune.self_instruct.instructions import one_line
from finetune.self_instruct.wording import WORDING
from finetune.teacher import Ask, Reply

YES_SHOWN, NO_SHOWN = 12, 19


def decision_demos(seeds: Sequence[SeedTask], language: Language, seed: int) -> list[SeedTask]:
    """The 31 tasks that are shown: seeds where they say what they are, filled up with shipped ones."""
    rng = random.Random(f"{seed}:{language}:classification")  # noqa: S311
    demos: list[SeedTask] = []
    for wanted, count in ((True, YES_SHOWN), (False, NO_SHOWN)):
        own = [task for task in seeds if task.is_classification is wanted]
        known = {task.instruction for task in own}
        shipped = [
            task
            for task in load_seeds(language)
            if task.is_classification is wanted and task.instruction not in known
        ]
        own = rng.sample(own, min(count, len(own)))
        demos += own + rng.sample(shipped, count - len(own))
    rng.shuffle(demos)
    return demos


def ask_whether(instruction: str, demos: Sequence[SeedTask], language: Language) -> Ask:
    """The call that decides on `instruction`."""
    wording = WORDING[language]
    messages = [Message("system", wording.decide)]
    for demo in demos:
        verdict = wording.yes if demo.is_classification else wording.no
        messages += [_user(demo.instruction, language), Message("assistant", verdict)]
    messages.append(_user(instruction, language))
    return Ask(tuple(messages), max_new_tokens=3, stop=("\n",))


def says_yes(reply: Reply, language: Language) -> bool:
    """What the teacher decided; anything but a yes is a no."""
    text = (reply.text or "").strip(" \n\t\"'“‘*。.").casefold()
    return text.startswith(WORDING[language].yes.casefold()) and not text.startswith("是否")


def _user(instruction: str, language: Language) -> Message:
    return Message("user", f"{WORDING[language].task} {one_line(instruction)}")
