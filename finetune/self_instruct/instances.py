"""Cases of a task, input and output: the two prompts, the parsers and the filters.

Of a classification the output comes first, or a model would write inputs of one label only; of any other
task the input (arXiv 2212.10560, sections 2.2 and 2.3; sampling and filters as in the public code).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from corpora.prompt import Language
from corpora.records import Message
from finetune.self_instruct.instructions import one_line
from finetune.self_instruct.replies import tidy
from finetune.self_instruct.wording import WORDING
from finetune.teacher import Ask, Reply

MOST = 5  # cases of one task
_MOST_READ = 50  # of one reply

_EXAMPLE = re.compile(
    r"(?:^|\n)[ \t*#]*(?:Example|例子?)\s*\d+\s*[.:：)]?[ \t*]*(?:\n|(?=\S))", re.IGNORECASE
)
_OUTPUT = re.compile(r"(?:^|\n)[ \t*]*(?:Output|输出)[ \t]*(?:\d+[ \t]*)?[:：]\**", re.IGNORECASE)
_INLINE_OUTPUT = re.compile(r"\b(?:Output|输出)[ \t]*(?:\d+[ \t]*)?[:：]", re.IGNORECASE)
_INPUT = re.compile(r"(?:^|\n)[ \t*]*(?:Input|输入)[ \t]*(?:\d+[ \t]*)?[:：]\**", re.IGNORECASE)
_LABEL = re.compile(
    r"(?:^|\n)[ \t*]*(?:Class label|类别(?:标签)?)[ \t]*(?:\d+[ \t]*)?[:：]\**", re.IGNORECASE
)
_FIELD = re.compile(r"(\w+)[:：]")


@dataclass(frozen=True, slots=True)
class Case:
    """An input with its output; `rejected` is why it is no good."""

    input: str
    output: str
    rejected: str | None = None


def ask_for_cases(instruction: str, language: Language, *, classification: bool) -> Ask:
    """The call that writes cases of `instruction`."""
    wording = WORDING[language]
    lead = wording.output_first if classification else wording.input_first
    demos = wording.output_first_demos if classification else wording.input_first_demos
    messages = [Message("system", lead)]
    for task, reply in demos:
        messages += [Message("user", f"{wording.task} {task}"), Message("assistant", reply)]
    messages.append(Message("user", f"{wording.task} {one_line(instruction)}"))
    return Ask(
        tuple(messages),
        max_new_tokens=300 if classification else 350,
        presence_penalty=1.5,
        stop=(f"Example {MOST + 1}", "Task:", f"例子{MOST + 1}", wording.task),
    )


def read_cases(reply: Reply, *, classification: bool) -> list[Case]:
    """All cases of a reply, the bad ones with their reason; none where it has no such form."""
    text = tidy(reply.text or "").strip()
    cases = (_labelled(text) if classification else _examples(text))[:_MOST_READ]
    if reply.cut and cases:
        cases[-1] = replace(cases[-1], rejected="cut")
    return _without_conflicts([_checked(case) for case in cases])


def keep_some(cases: Sequence[Case], rng: random.Random) -> list[Case]:
    """At most five good cases, in their order, with the bad ones."""
    good = [at for at, case in enumerate(cases) if case.rejected is None]
    kept = set(rng.sample(good, min(MOST, len(good))))
    return [
        case if case.rejected or at in kept else replace(case, rejected="surplus")
        for at, case in enumerate(cases)
    ]


def vary(text: str, rng: random.Random) -> str:
    """Half the time an input without its only field name ("List: 3, 1" -> "3, 1") and without blank lines."""
    if rng.random() >= 0.5:
        return text
    if len(set(_FIELD.findall(text))) == 1:
        text = re.split(r"[:：]", text, maxsplit=1)[1].strip()
    return text.replace("\n\n", "\n")


def _labelled(text: str) -> list[Case]:
    cases = []
    for piece in _LABEL.split("\n" + text)[1:]:
        label, _, rest = piece.strip().partition("\n")
        cases.append(Case(_INPUT.sub("", "\n" + rest, count=1).strip(), label.strip()))
    return cases


def _examples(text: str) -> list[Case]:
    before, *pieces = _EXAMPLE.split("\n" + text)
    if _output(before):
        pieces.insert(0, before)
    return [_input_output(piece.strip()) for piece in pieces]


def _output(piece: str) -> re.Match[str] | None:
    """Where the output of an example begins: a line of its own, or else behind the input."""
    return _OUTPUT.search(piece) or _INLINE_OUTPUT.search(piece)


def _input_output(piece: str) -> Case:
    """The first input and output of `piece`; a further pair in it is left off. Unmarked, all is output."""
    found = _output(piece)
    if found is None:
        return Case("", _INPUT.split("\n" + piece)[0].strip())
    output = _INPUT.split(_OUTPUT.split(piece[found.end() :])[0])[0]
    return Case(_INPUT.sub("", piece[: found.start()], count=1).strip(), output.strip())


def _checked(case: Case) -> Case:
    if case.rejected:
        return case
    if not case.output:
        return replace(case, rejected="empty_output")
    if case.input == case.output:
        return replace(case, rejected="output_is_input")
    if case.input.endswith((":", "：")) or case.output.endswith((":", "：")):
        return replace(case, rejected="incomplete")
    return case


def _without_conflicts(cases: Sequence[Case]) -> list[Case]:
    """One input with two outputs discredits all cases of the task; of equal cases the first stays."""
    good = [case for case in cases if case.rejected is None]
    outputs: dict[str, str] = {}
    if any(outputs.setdefault(case.input, case.output) != case.output for case in good if case.input):
        return [case if case.rejected else replace(case, rejected="conflict") for case in cases]
    seen: set[tuple[str, str]] = set()
    kept = []
    for case in cases:
        pair = (case.input, case.output)
        if case.rejected is None and pair in seen:
            case = replace(case, rejected="duplicate")  # noqa: PLW2901
        seen.add(pair)
        kept.append(case)
    return kept
