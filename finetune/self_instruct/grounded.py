"""Self-Instruct on the library: a passage is the input, the teacher sets a task on it and solves it.

One call a kind of task. A teacher too weak to keep to the form still helps: where a reply names no
instruction, the stock one of that kind takes its place and the reply is the output.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from corpora.prompt import escape, language_of
from corpora.records import Message, Passage
from finetune.candidates import Candidate, Claimed
from finetune.rouge import RougePool
from finetune.self_instruct.instructions import fault
from finetune.self_instruct.method import ROUGE, SIMILAR
from finetune.self_instruct.replies import tidy
from finetune.self_instruct.wording import PROMPT_VERSION, WORDING
from finetune.teacher import Ask, Reply, Teacher

_SHORTEST = 80  # characters of a passage that a task can be set on; of Chinese a third
_INSTRUCTION = re.compile(
    r"^[ \t*#]*(?:Instructions?|Task|指令|任务)[ \t]*(?:\d+[ \t]*)?[:：]\**", re.IGNORECASE
)
_OUTPUT = re.compile(
    r"(?:^|\n)[ \t*#]*(?:Output|Answer|输出|答案)[ \t]*(?:\d+[ \t]*)?[:：]\**", re.IGNORECASE
)


class GroundedInstruct:
    """Writes up to `per_passage` tasks of different kinds on each passage."""

    name = "grounded-instruction"

    def __init__(self, teacher: Teacher, seed: int, per_passage: int = 1) -> None:
        self._teacher = teacher
        self._seed = seed
        self._per_passage = per_passage

    def write(self, passages: Sequence[Passage]) -> list[list[Candidate]]:
        """The candidates of each passage; none of a passage too short to set a task on."""
        planned = [(at, kind) for at, passage in enumerate(passages) for kind in self._kinds(passage)]
        replies = self._teacher.ask([_ask(passages[at], kind) for at, kind in planned])
        written: list[list[Candidate]] = [[] for _ in passages]
        for (at, kind), reply in zip(planned, replies, strict=True):
            written[at].append(self._candidate(passages[at], kind, reply))
        return [_distinct(candidates) for candidates in written]

    def _kinds(self, passage: Passage) -> list[str]:
        language = language_of(passage.text)
        if len(passage.text.strip()) < (_SHORTEST // 3 if language == "zh" else _SHORTEST):
            return []
        kinds = WORDING[language].kinds
        rng = random.Random(f"{self._seed}:{passage.id}:{self.name}")  # noqa: S311
        return rng.sample(kinds, min(self._per_passage, len(kinds)))

    def _candidate(self, passage: Passage, kind: str, reply: Reply) -> Candidate:
        language = language_of(passage.text)
        text = passage.text.strip()
        instruction, output = _read(reply)
        rules = not instruction
        instruction = instruction or kind
        return Candidate(
            method="self-instruct",
            kind="grounded-instruction",
            language=language,
            question=instruction,
            answer=output or None,
            claimed=(Claimed(passage, text, passage.text.index(text)),),
            teacher=f"{self._teacher.name}+rules" if rules else self._teacher.name,
            prompt_version=PROMPT_VERSION,
            input=text,
            rejected=_reason(reply, output, text) or fault(instruction, language),
        )


def _ask(passage: Passage, kind: str) -> Ask:
    wording = WORDING[language_of(passage.text)]

    def request(text: str, kind: str) -> Message:
        return Message("user", f"{wording.text}\n{escape(text)}\n\n{wording.kind} {kind}")

    messages = [Message("system", wording.grounded)]
    for text, at, reply in wording.grounded_demos:
        messages += [request(text, wording.kinds[at]), Message("assistant", reply)]
    messages.append(request(passage.text, kind))
    return Ask(tuple(messages), max_new_tokens=256, stop=(f"\n{wording.text}",))


def _read(reply: Reply) -> tuple[str, str]:
    """Instruction and output; "" for what the reply has not."""
    text = tidy(reply.text or "").strip()
    found = _OUTPUT.search(text)
    head = _INSTRUCTION.match(text)
    if found and head:
        instruction = " ".join(text[head.end() : found.start()].split())
        return instruction, text[found.end() :].strip()
    if found:
        return "", text[found.end() :].strip()
    if head:  # an instruction without its output is nothing that can be learnt
        return " ".join(text[head.end() :].split()), ""
    return "", text


def _reason(reply: Reply, output: str, text: str) -> str | None:
    if reply.text is None:
        return "no_reply"
    if reply.cut:
        return "cut"
    if not output:
        return "empty_output"
    if output == text:
        return "output_is_input"
    return "incomplete" if output.endswith((":", "：")) else None


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Rejects what asks nearly the same of one passage; over passages the same task is no repetition."""
    pool, kept = RougePool(), []
    for candidate in candidates:
        score = pool.max(candidate.question)
        if candidate.rejected is None and score > SIMILAR:
            candidate = replace(candidate, rejected="similar", scores={ROUGE: round(score, 4)})  # noqa: PLW2901
        if candidate.rejected is None:
            pool.add(candidate.question)
        kept.append(candidate)
    return kept
