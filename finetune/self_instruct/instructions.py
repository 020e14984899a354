"""New instructions: the prompt that shows eight, and the filters on what comes back.

Self-Instruct, arXiv 2212.10560, section 2.2 and appendix A; numbers as in its public code (bootstrapping of
instructions). Three things differ on purpose. That code lowers all letters of an instruction but the first;
here names keep their capitals. Its stop strings "16." and "16 ." would also end a reply at "2016."; the line
number alone ends it here. And a blank line ends a reply only behind the first task, as chat models like to
announce what they are about to write.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence

from corpora.prompt import Language, escape, language_of
from corpora.records import Message
from finetune.rouge import words
from finetune.self_instruct.replies import tidy
from finetune.self_instruct.wording import WORDING
from finetune.teacher import Ask, Reply

SHOWN = 8
MACHINE_SHOWN = 2  # of them, as soon as there are that many
LAST = 15  # the reply ends where a sixteenth task begins, and no more are read

# English counts words; Chinese counts characters. Translated closely, 171 of the English seed instructions
# have 1.57 characters for each word, hence 4 and 235.
_LENGTHS: dict[Language, tuple[int, int]] = {"en": (3, 150), "zh": (4, 235)}
# Tasks that a language model cannot do: it neither sees, nor draws, nor goes anywhere.
_BANNED: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to)\b", re.IGNORECASE),
    "zh": re.compile(r"图[片像表形画]|[照画]片|文件|地图|曲线图|柱状图|绘[制图]|画(?:出|图|一)|作图|前往"),
}
_PROGRAM: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"Write a program"),
    "zh": re.compile(r"(?:请)?(?:编写|写出?|创建)(?:一个|一段|个)?(?:计算机)?程序"),
}
_NUMBER = re.compile(r"(?:^|\n)[ \t]*(?:\*\*)?(?:Task[ \t]+|任务[ \t]*)?(\d{1,3})[ \t]?[.．、)）:：][ \t]*")
_BULLET = re.compile(r"(?:^|\n)[ \t]*[-*•][ \t]+")
_NUMBERED = re.compile(r"^(?:\d{1,3}[.)、] )+")  # a number of the teacher's own behind ours
_LABEL = re.compile(r"^(?:Task|Instruction|任务|指令)[ \t]*(?:\d+[ \t]*)?[:：]\s*", re.IGNORECASE)


def choose_shown(rng: random.Random, human: Sequence[str], machine: Sequence[str]) -> list[str]:
    """The instructions of one prompt: two machine-made (fewer at the start), the rest human, shuffled."""
    shown = rng.sample(machine, min(MACHINE_SHOWN, len(machine)))
    shown += rng.sample(human, SHOWN - len(shown))
    rng.shuffle(shown)
    return shown


def ask_for_tasks(shown: Sequence[str], language: Language, *, classification: bool, seed: int) -> Ask:
    """The call that goes on with the list of `shown`."""
    wording = WORDING[language]
    lead = wording.classification_series if classification else wording.series
    lines = [f"{at}. {one_line(instruction).rstrip(':：')}" for at, instruction in enumerate(shown, start=1)]
    prompt = "\n".join([lead, "", *lines, f"{len(shown) + 1}."])
    return Ask(
        (Message("user", prompt),),
        max_new_tokens=1024,
        temperature=0.7,
        top_p=0.5,
        presence_penalty=2.0,
        seed=seed,
        stop=(f"\n{LAST + 1}",),
    )


def read_tasks(reply: Reply) -> list[tuple[str, str | None]]:
    """The instructions of a reply; beside each None, or "cut" of the last one of a reply that was cut off."""
    text = tidy(reply.text or "").lstrip()
    found = list(_NUMBER.finditer(text))
    ends = [*(number.start() for number in found[1:]), len(text)]
    # An empty reply has one end and no number.
    numbered = zip(found, ends, strict=False)
    pieces = [text[number.end() : end] for number, end in numbered if int(number[1]) <= LAST]
    # Text in front of the first number goes on behind our "9."; in front of 9 or 1 it only announces.
    before = text[: found[0].start()] if found else text
    if not found and _BULLET.match(before):
        pieces = _BULLET.split(before)
    elif not found or int(found[0][1]) not in (1, SHOWN + 1):
        pieces.insert(0, before)
    tasks = [task for task in map(_task, pieces) if task][:LAST]
    return [(task, "cut" if reply.cut and at == len(tasks) else None) for at, task in enumerate(tasks, 1)]


def fault(instruction: str, language: Language) -> str | None:
    """Why an instruction is no good by itself, else None."""
    shortest, longest = _LENGTHS[language]
    size = len(words(instruction)) if language == "zh" else len(instruction.split())
    if not shortest < size <= longest:
        return "length"
    if _BANNED[language].search(instruction):
        return "banned_word"
    if _PROGRAM[language].match(instruction):
        return "program"
    # The ASCII symbols count as punctuation, as Python's string.punctuation has it.
    if unicodedata.category(instruction[0])[0] == "P" or instruction[0] in "$+<=>^`|~":
        return "punctuation"
    if language == "en" and not instruction[0].isascii():
        return "language"
    if language == "zh" and language_of(instruction) != "zh":
        return "language"
    return None


def one_line(instruction: str) -> str:
    """An instruction as inert text on one line of a prompt."""
    return " ".join(escape(instruction).split())


def _task(piece: str) -> str:
    """One instruction, on one line and with a capital; "" where there is none."""
    paragraph = piece.strip().split("\n\n", 1)[0]
    line = " ".join(paragraph.replace("**", "").split())
    line = _LABEL.sub("", _NUMBERED.sub("", line))
    return line[:1].upper() + line[1:]
