"""Self-Instruct, a round at a time: tasks, then whether each is a classification, then its cases.

    method = SelfInstruct(teacher, load_seeds("en"), "en", seed=0, pool=accepted_so_far)
    candidates = method.round(0)
    method.accept(those that passed the checks)
    candidates = method.round(1)

A round is a function of the seed, its number and the pool, so that a run which was killed goes on with
`SelfInstruct(..., pool=what the library holds)` and the number of the round that was not finished.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from corpora.examples import Kind
from corpora.prompt import Language
from corpora.seeds.tasks import SeedTask
from finetune.candidates import Candidate
from finetune.rouge import RougePool
from finetune.self_instruct.classify import ask_whether, decision_demos, says_yes
from finetune.self_instruct.instances import ask_for_cases, keep_some, read_cases, vary
from finetune.self_instruct.instructions import SHOWN, ask_for_tasks, choose_shown, fault, read_tasks
from finetune.self_instruct.wording import PROMPT_VERSION
from finetune.teacher import Ask, Reply, Teacher

REQUESTS = 5  # prompts a round
SIMILAR = 0.7  # ROUGE-L above which an instruction is not new
NEAREST = 10

CLASSIFICATION = "classification"  # a score of 1.0 marks such a task, so that a rebuilt pool knows it
ROUGE = "rouge_l"


class Task(Protocol):
    """What the pool needs of an accepted example (an `Example` or a `Candidate`)."""

    @property
    def kind(self) -> Kind:
        """Only "instruction" counts."""

    @property
    def language(self) -> Language:
        """Tasks of another language are left out."""

    @property
    def question(self) -> str:
        """The instruction."""

    @property
    def scores(self) -> Mapping[str, float]:
        """As the candidate had them."""


@dataclass(frozen=True, slots=True)
class _New:
    """An instruction of this round that is new; `scores` tell what it is nearest to."""

    instruction: str
    scores: Mapping[str, float]
    classification: bool = False


class SelfInstruct:
    """The published algorithm over `seeds` (at least eight) and the tasks accepted so far, oldest first."""

    name = "self-instruct"

    def __init__(
        self,
        teacher: Teacher,
        seeds: Sequence[SeedTask],
        language: Language,
        seed: int,
        pool: Sequence[Task] = (),
    ) -> None:
        if len(seeds) < SHOWN:
            raise ValueError(f"{len(seeds)} seed tasks, and a prompt shows {SHOWN}")
        self._teacher = teacher
        self._language: Language = language
        self._seed = seed
        self._human = [task.instruction for task in seeds]
        self._human_labels = [task.instruction for task in seeds if task.is_classification]
        self._decision_demos = decision_demos(seeds, language, seed)
        self._machine: dict[str, bool] = {}  # instruction -> whether it is a classification, oldest first
        self._names = {task.instruction: task.id for task in seeds}
        self.accept(pool)

    def accept(self, tasks: Iterable[Task]) -> None:
        """Add the tasks that passed all checks: they are shown in later prompts, and compared with."""
        for task in tasks:
            if task.kind != "instruction" or task.language != self._language:
                continue
            self._machine.setdefault(task.question, CLASSIFICATION in task.scores)
            self._names.setdefault(task.question, f"task_{len(self._machine)}")

    def round(self, number: int) -> list[Candidate]:
        """The candidates of round `number`; those that the method itself throws out say why in `rejected`."""
        rng = random.Random(f"{self._seed}:{self.name}:{self._language}:{number}")  # noqa: S311
        asks = [self._prompt(rng, labels=self._asks_for_labels(at)) for at in range(REQUESTS)]
        new, candidates = self._sift(self._teacher.ask(asks), number)
        verdicts = self._teacher.ask([self._whether(task.instruction) for task in new])
        new = [
            _New(task.instruction, {**task.scores, CLASSIFICATION: 1.0}, classification=True)
            if says_yes(verdict, self._language)
            else task
            for task, verdict in zip(new, verdicts, strict=True)
        ]
        asks = [ask_for_cases(t.instruction, self._language, classification=t.classification) for t in new]
        for task, reply in zip(new, self._teacher.ask(asks), strict=True):
            candidates += self._cases(task, reply, rng)
        return candidates

    def _asks_for_labels(self, at: int) -> bool:
        """The last prompt of a round asks for classifications, where there are seeds to show."""
        return at == REQUESTS - 1 and len(self._human_labels) >= SHOWN

    def _prompt(self, rng: random.Random, *, labels: bool) -> Ask:
        human = self._human_labels if labels else self._human
        machine = [task for task, is_label in self._machine.items() if is_label or not labels]
        shown = choose_shown(rng, human, machine)
        return ask_for_tasks(shown, self._language, classification=labels, seed=rng.getrandbits(31))

    def _whether(self, instruction: str) -> Ask:
        return ask_whether(instruction, self._decision_demos, self._language)

    def _sift(self, replies: Sequence[Reply], number: int) -> tuple[list[_New], list[Candidate]]:
        """The instructions that are new, and what was thrown out."""
        compared, names = RougePool(), dict(self._names)
        for known in names:
            compared.add(known)
        new: list[_New] = []
        rejected: list[Candidate] = []
        for reply in replies:
            tasks = read_tasks(reply)
            if not tasks:
                rejected.append(self._rejected("", "no_reply" if reply.text is None else "parse"))
            for instruction, cut in tasks:
                reason = cut or fault(instruction, self._language)
                if reason:
                    rejected.append(self._rejected(instruction, reason))
                    continue
                nearest = compared.nearest(instruction, NEAREST)
                scores = _similarity(nearest, names)
                if nearest[0][0] > SIMILAR:
                    rejected.append(self._rejected(instruction, "similar", scores))
                    continue
                new.append(_New(instruction, scores))
                compared.add(instruction)
                names[instruction] = f"round_{number}_{len(new)}"
        return new, rejected

    def _cases(self, task: _New, reply: Reply, rng: random.Random) -> list[Candidate]:
        cases = keep_some(read_cases(reply, classification=task.classification), rng)
        if not cases:
            reason = "no_reply" if reply.text is None else "parse"
            return [self._rejected(task.instruction, reason, task.scores)]
        return [
            self._candidate(
                task.instruction,
                case.rejected,
                task.scores,
                input_text=case.input if case.rejected else vary(case.input, rng),
                answer=case.output,
            )
            for case in cases
        ]

    def _rejected(
        self, instruction: str, reason: str, scores: Mapping[str, float] | None = None
    ) -> Candidate:
        return self._candidate(instruction, reason, scores or {})

    def _candidate(
        self,
        instruction: str,
        rejected: str | None,
        scores: Mapping[str, float],
        *,
        input_text: str = "",
        answer: str | None = None,
    ) -> Candidate:
        return Candidate(
            method="self-instruct",
            kind="instruction",
            language=self._language,
            question=instruction,
            answer=answer,
            claimed=(),
            teacher=self._teacher.name,
            prompt_version=PROMPT_VERSION,
            input=input_text,
            scores=scores,
            rejected=rejected,
        )


def _similarity(nearest: Sequence[tuple[float, str]], names: Mapping[str, str]) -> dict[str, float]:
    """The highest ROUGE-L, and that of each of the nearest by its name ("rouge_l:seed_task_3")."""
    scores = {ROUGE: round(nearest[0][0], 4)}
    for score, text in nearest:
        if score > 0:
            scores[f"{ROUGE}:{names[text]}"] = round(score, 4)
    return scores
