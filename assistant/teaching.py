"""A run of `generate` put together from the settings: teacher, reader, checks and courses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.reading_back import reading_model, scorers
from corpora.prompt import Language, language_of
from corpora.records import Message
from corpora.store import ExampleStore, Library, StoredReply
from corpora.store.guard import TEACHING
from finetune.chat_teacher import ChatTeacher, teacher_fingerprint, teacher_name
from finetune.checks import Checks, Gate, open_gate
from finetune.courses import Course, ListCourse, PassageCourse, RoundCourse
from finetune.estimate import Totals
from finetune.generate import GenerateReport, Generation

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.runtime import Runtime
    from corpora.examples import Example, Method
    from corpora.seeds.tasks import SeedTask
    from finetune.candidates import Writer
    from index.encoder import Encoder
    from index.sync_options import Hooks

_SAMPLE = 64  # passages from which the languages of a library are told
_READER_PROMPT, _READER_REPLY = 250, 24  # tokens of the serving prompt around a passage, and of an answer
_PROBE_ROWS = 16  # read and written twice to measure the pace, which must not take as long as the work
_FEW = 200  # candidates; with no more the pace is measured by less
_ROUNDS = 10  # of Self-Instruct without a limit


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the user asked for."""

    methods: tuple[Method, ...]
    per_passage: int
    limit: int | None
    seeds: Path | None
    graph: Path | None
    seed: int


@dataclass(frozen=True, slots=True)
class LibraryReplies:
    """Keeps a teacher's replies in the library (`finetune.chat_teacher.ReplyCache`)."""

    library: Library

    def replies(self, keys: Sequence[str], /) -> Mapping[str, StoredReply]:
        """Those among `keys` that are kept."""
        return ExampleStore(self.library).replies(keys)

    def add_replies(self, replies: Sequence[StoredReply], /) -> None:
        """Keep replies in a transaction of their own."""
        with self.library.write() as writer:
            ExampleStore(self.library).add_replies(writer, replies)


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of a run, and what it asked of the teacher."""

    report: GenerateReport
    totals: Totals


class Teaching:
    """One `generate` command on an open library."""

    def __init__(self, runtime: Runtime, lesson: Lesson, hooks: Hooks) -> None:
        self._runtime, self._lesson, self._hooks = runtime, lesson, hooks
        self._library = runtime.library
        self._store = ExampleStore(runtime.library)
        self._facts = ""  # of the user's graph, as a text

    def run(self) -> Taught:
        """Load what is needed, say what it will cost, and work."""
        from index.retriever import Retriever

        self._read_inputs()
        with self._library.guard(on_wait=self._hooks.say, lock=TEACHING):
            pass  # another run is waited for before models are loaded
        encoder = self._runtime.encoder()
        model = self._model()
        teacher = self._teacher(model)
        retriever = Retriever(self._library, encoder)
        reading = reading_model(self._runtime.settings, model)
        reader = teacher if reading is model else self._teacher(reading)
        gates = self._gates(reading, reader, teacher)
        checks = Checks(
            retriever,
            encoder,
            hashes=lambda: {document.id: document.sha256 for document in self._library.documents()},
            splits=self._store.splits,
            k=self._runtime.settings.k,
            gates=gates,
        )
        courses = self._courses(teacher, encoder)
        self._say_estimate(reading, teacher, courses, len(gates))
        settings = {"seed": self._lesson.seed, "per_passage": self._lesson.per_passage}
        generation = Generation(self._library, courses, checks, self._lesson.limit, self._hooks)
        report = generation.run(settings)
        return Taught(report, teacher.totals if reader is teacher else teacher.totals + reader.totals)

    def _read_inputs(self) -> None:
        """Read the user's own files before anything slow is loaded: a mistake in them is told at once."""
        methods = self._lesson.methods
        if self._lesson.graph is not None and "self-kg" in methods:
            from finetune.self_kg.writer import facts_document

            self._facts = facts_document(self._lesson.graph)
        if self._lesson.seeds is not None and "self-instruct" in methods:
            from corpora.seeds.tasks import read_seeds

            read_seeds(self._lesson.seeds)

    # -- models ------------------------------------------------------------------------------------

    @property
    def _weak(self) -> bool:
        """Whether the teacher is an embedded model, which is too small to be told what to do."""
        from index.weights import CATALOGUE

        return self._runtime.settings.model in CATALOGUE

    def _model(self) -> BaseChatModel:
        from assistant.chat_models import load_chat_model

        settings = self._runtime.settings
        return load_chat_model(
            settings.model,
            adapter=settings.adapter,
            library=self._library,
            offline=settings.offline,
            base_url=settings.base_url,
        )

    def _teacher(self, model: BaseChatModel) -> ChatTeacher:
        return ChatTeacher(
            model,
            name=teacher_name(model),
            fingerprint=teacher_fingerprint(model),
            cache=LibraryReplies(self._library),
        )

    def _gates(self, model: BaseChatModel, reader: ChatTeacher, teacher: ChatTeacher) -> list[Gate]:
        """The checks that ask a model: round-trip reading, and a judge where it can be told to judge."""
        languages = self._languages()
        if self._weak:  # the embedded models write English alone
            languages = [language for language in languages if language == "en"]
        asked = scorers(model, reader, None if self._weak else teacher)
        return [open_gate(self._library, self._store, one, languages, self._hooks.say) for one in asked]

    def _languages(self) -> list[Language]:
        rowids = [rowid for rowid, _, _ in self._library.passage_keys()]
        step = max(1, len(rowids) // _SAMPLE)
        return sorted({language_of(passage.text) for passage in self._library.passages(rowids[::step])})

    def _say_estimate(
        self, model: BaseChatModel, teacher: ChatTeacher, courses: Sequence[Course], readings: int
    ) -> None:
        """What the passages left will cost, from a sample: Self-QA, and `readings` of each candidate."""
        from assistant.chat_models.local import LocalChatModel
        from assistant.chat_models.talk import count_tokens
        from finetune.estimate import Workload, estimate, measure_pace
        from finetune.self_qa import SelfQA

        left = sum(
            course.total(self._store.taught(course.scope))
            for course in courses
            if isinstance(course, PassageCourse) and course.method == "self-qa"
        )
        if not left:
            return
        rowids = [rowid for rowid, _, _ in self._library.passage_keys()]
        sample = self._library.passages(rowids[:: max(1, len(rowids) // 16)])
        candidates = left * self._lesson.per_passage
        if self._lesson.limit is not None:
            candidates = min(candidates, round(1.5 * self._lesson.limit))
        read = sum(count_tokens(model, [Message("user", p.text)]) for p in sample) // max(1, len(sample))
        work = Workload(1, read + _READER_PROMPT, _READER_REPLY).times(candidates * readings)
        if not self._weak:
            asked = SelfQA(teacher, self._lesson.per_passage).workload(
                sample, lambda said: count_tokens(model, said)
            )
            work += asked.times(candidates / max(1, len(sample) * self._lesson.per_passage))
        pace = None
        if isinstance(model, LocalChatModel):
            pace = measure_pace(model, _PROBE_ROWS if candidates > _FEW else 2)
        bound = "" if self._lesson.limit else "at most "
        line = estimate(teacher.name, work, pace).line()
        self._hooks.say(f"{bound}{line}; what is cached costs nothing")

    # -- courses -----------------------------------------------------------------------------------

    def _courses(self, teacher: ChatTeacher, encoder: Encoder) -> list[Course]:
        courses: list[Course] = []
        if "self-qa" in self._lesson.methods:
            courses += self._self_qa(teacher)
        if "self-kg" in self._lesson.methods:
            courses.append(self._self_kg(teacher, encoder))
        if "self-instruct" in self._lesson.methods:
            courses += self._self_instruct(teacher)
        return courses

    def _scope(self, name: str, version: str, teacher: ChatTeacher | None) -> str:
        return f"{name}/{version}/{teacher.fingerprint if teacher else 'rules'}/{self._lesson.seed}"

    def _self_qa(self, teacher: ChatTeacher) -> list[Course]:
        from finetune.answer_first.writer import PROMPT_VERSION as BY_RULE
        from finetune.answer_first.writer import AnswerFirst
        from finetune.multi_hop import VERSION, bridges, linked_pairs
        from finetune.self_qa import PROMPT_VERSION, MultiHopQA, SelfQA
        from finetune.tables import TableQA

        passages = self._library.passages([rowid for rowid, _, _ in self._library.passage_keys()])
        tables = TableQA(self._library.text, self._lesson.seed)
        writers: list[Writer]
        hops: Course
        if self._weak:
            writers = [AnswerFirst(), tables]
            hops = ListCourse(
                self._scope("bridges", VERSION, None),
                "self-qa",
                bridges(passages),
                lambda one: f"{one.question}\0{one.answer}",
                list,
                weight=1.0,
            )
        else:
            writers = [SelfQA(teacher, self._lesson.per_passage), tables]
            hops = ListCourse(
                self._scope("multi-hop", PROMPT_VERSION, teacher),
                "self-qa",
                linked_pairs(passages),
                lambda pair: f"{pair[0].id}\0{pair[1].id}\0{pair[2]}",
                MultiHopQA(teacher).write,
                weight=1.0,
            )
        version = BY_RULE if self._weak else PROMPT_VERSION
        scope = self._scope("self-qa", version, None if self._weak else teacher)
        return [hops, PassageCourse(self._library, scope, "self-qa", writers, self._lesson.per_passage)]

    def _self_kg(self, teacher: ChatTeacher, encoder: Encoder) -> Course:
        from assistant.graph_facts import ingest_facts
        from finetune.self_kg.writer import SelfKG, graph_questions

        if self._lesson.graph is None:
            writer = SelfKG(None if self._weak else teacher)
            scope = self._scope("self-kg", writer.version, None if self._weak else teacher)
            return PassageCourse(self._library, scope, "self-kg", [writer], self._lesson.per_passage)
        if self._facts.strip():
            settings = self._runtime.settings
            ingest_facts(self._library, self._lesson.graph, self._facts, settings, self._hooks)
        graph = graph_questions(self._lesson.graph, self._library, seed=self._lesson.seed, encoder=encoder)
        self._hooks.say(f"graph: {graph.grounded} of {graph.edges} edges stand in the library")
        return ListCourse(
            self._scope("graph", SelfKG().version, None),
            "self-kg",
            graph.candidates,
            lambda one: f"{one.question}\0{one.answer}",
            list,
        )

    def _self_instruct(self, teacher: ChatTeacher) -> list[Course]:
        from finetune.self_instruct.grounded import GroundedInstruct
        from finetune.self_instruct.wording import PROMPT_VERSION

        grounded = PassageCourse(
            self._library,
            self._scope("grounded-instruct", PROMPT_VERSION, teacher),
            "self-instruct",
            [GroundedInstruct(teacher, self._lesson.seed)],
            self._lesson.per_passage,
        )
        return [grounded, *(self._rounds(teacher, language) for language in self._languages())]

    def _rounds(self, teacher: ChatTeacher, language: Language) -> Course:
        from finetune.candidates import Candidate
        from finetune.self_instruct.method import SelfInstruct
        from finetune.self_instruct.wording import PROMPT_VERSION

        seeds = self._seeds(language)
        digest = hashlib.sha256("\0".join(task.instruction for task in seeds).encode()).hexdigest()[:8]

        def pool() -> list[Example]:
            return self._store.find(status="accepted", method="self-instruct")

        def write(number: int) -> list[Candidate]:
            # Made anew from the library, so that a run which was killed goes on with the same pool.
            return SelfInstruct(teacher, seeds, language, self._lesson.seed, pool()).round(number)

        scope = self._scope(f"self-instruct-{language}-{digest}", PROMPT_VERSION, teacher)
        return RoundCourse(scope, "self-instruct", write, lambda: len(pool()), _ROUNDS)

    def _seeds(self, language: Language) -> Sequence[SeedTask]:
        from corpora.seeds.tasks import load_seeds, read_seeds

        if self._lesson.seeds is None:
            return load_seeds(language)
        file = read_seeds(self._lesson.seeds)
        for bad in file.bad:
            self._hooks.say(f"{self._lesson.seeds}:{bad.line}: {bad.reason}")
        return file.tasks
