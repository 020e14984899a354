"""A run of `generate` that needs no weights: for tests in this process, and as a program to be killed.

python generate_driver.py LIBRARY [LIMIT]        prints the report as JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from ingest_driver import HashingEncoder
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from assistant.teaching import LibraryReplies
from corpora.seeds.tasks import load_seeds
from corpora.store import ExampleStore, Library
from finetune.answer_first.writer import AnswerFirst
from finetune.chat_teacher import ChatTeacher
from finetune.checks import Checks
from finetune.courses import Course, PassageCourse, RoundCourse
from finetune.generate import GenerateReport, Generation
from finetune.self_instruct.grounded import GroundedInstruct
from finetune.self_instruct.method import SelfInstruct
from index.retriever import Retriever
from index.sync_options import Hooks

VERBS = ("List", "Describe", "Compare", "Explain", "Rewrite", "Summarise", "Name", "Classify")
THINGS = (
    "rivers",
    "kitchen tools",
    "old songs",
    "winter coats",
    "street names",
    "bread recipes",
    "bird calls",
)


PLACES = "Brannock Tolsay Harwick Selmouth Dunvale Orrin Kelby Marsden Pelham Whitby Lowick Ashby".split()
PEOPLE = "Anna Kerr|Tom Hale|Ruth Ames|John Pell|Mary Voss|Carl Dunn|Edith Lowe|Paul Grant".split("|")
BUILDINGS = "lighthouse harbour bridge mill chapel tower market school library canal".split()


def make_documents(folder: Path, number: int = 4) -> None:
    """Plain prose with facts that rules can ask for; no two documents speak of the same places."""
    folder.mkdir(parents=True)
    for at in range(number):
        lines = [f"# Volume {at}"]
        for n, building in enumerate(BUILDINGS):
            place = f"{PLACES[(at + n) % 12]} {('North', 'South', 'East', 'West')[at % 4]}"
            person = PEOPLE[(3 * at + n) % 8]
            lines += [
                f"The {building} of {place} was built in {1700 + 23 * at + 7 * n} by {person}.",
                f"The {building} of {place} has {12 + at + n} iron doors. Some people like it very much.",
            ]
        (folder / f"volume{at}.md").write_text("\n\n".join(lines) + "\n", "utf-8")


class ScriptedModel(BaseChatModel):
    """Says what depends on nothing but the prompt: tasks where tasks are wanted, else a sentence."""

    model_name: str = "scripted"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        prompt = "\n".join(str(message.content) for message in messages)
        digest = hashlib.sha256(prompt.encode()).digest()
        tasks = [
            f"{9 + n}. {VERBS[digest[n] % 8]} {digest[n + 8] % 90 + 3} {THINGS[digest[n + 16] % 7]} of number"
            f" {int.from_bytes(digest[n : n + 2])}."
            for n in range(5)
        ]
        text = (
            "\n".join(tasks)
            if "task" in prompt.lower() and digest[0] % 3
            else f"Number {digest.hex()[:9]} is it."
        )
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])


def teacher_of(library: Library) -> ChatTeacher:
    cache = LibraryReplies(library)
    return ChatTeacher(ScriptedModel(), name="scripted", fingerprint="5" * 16, cache=cache, concurrency=1)


def courses_of(library: Library) -> list[Course]:
    teacher, store = teacher_of(library), ExampleStore(library)

    def rounds(number: int) -> list[Any]:
        pool = store.find(status="accepted", method="self-instruct")
        return SelfInstruct(teacher, load_seeds("en"), "en", 0, pool).round(number)

    return [
        PassageCourse(library, "rules", "self-qa", [AnswerFirst()], 3),
        PassageCourse(library, "grounded", "self-instruct", [GroundedInstruct(teacher, 0)], 1),
        RoundCourse("rounds", "self-instruct", rounds, lambda: len(store.find(status="accepted")), 3),
    ]


def generate(
    library: Library,
    limit: int | None = None,
    courses: list[Course] | None = None,
    hooks: Hooks | None = None,
) -> GenerateReport:
    """One run with the hashing encoder and the scripted teacher."""
    encoder, store = HashingEncoder(), ExampleStore(library)
    checks = Checks(
        Retriever(library, encoder),
        encoder,
        hashes=lambda: {document.id: document.sha256 for document in library.documents()},
        splits=store.splits,
    )
    run = Generation(
        library, courses_of(library) if courses is None else courses, checks, limit, hooks or Hooks()
    )
    return run.run({"seed": 0})


if __name__ == "__main__":
    with Library.open(Path(sys.argv[1]), writable=True) as opened:
        report = generate(opened, int(sys.argv[2]) if len(sys.argv) > 2 else None)
    print(json.dumps({"accepted": report.accepted, "rejected": dict(report.rejected)}))
