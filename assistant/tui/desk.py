"""What the engine process does for each request of the chat (`assistant.tui.worker` lists them)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.answer.build import MAX_NEW_TOKENS, build_engine
from assistant.answer.engine import AnswerEngine
from assistant.answer.rows import answer_row
from assistant.chat.conversation import Conversation
from assistant.chat.reading import Reading
from assistant.chat.records import ChatOptions, Turn
from assistant.chat.serving import ServedModel
from assistant.chat.sessions import Sessions
from assistant.chat.stopping import Stopped, stopped_by
from assistant.runtime import Runtime, opened
from corpora.errors import NothingToDo, UsageError

if TYPE_CHECKING:
    from assistant.chat.review import Reviewed, Reviews

Tell = Callable[..., None]


class Parts:
    """What a desk is made of: the program's own; tests put smaller ones in their place."""

    def engine(self, runtime: Runtime, model: ServedModel) -> AnswerEngine:
        """The engine for an open library."""
        return build_engine(runtime, model)

    def model(self, runtime: Runtime) -> ServedModel:
        """The language model."""
        return ServedModel(runtime)

    def reading(self, setup: Mapping[str, Any], tell: Tell, stop: Callable[[], bool]) -> Reading:
        """What reads documents in."""
        return Reading(setup, tell, stop)


class Desk:
    """One library, one engine, and the conversation that is at hand."""

    def __init__(
        self, setup: Mapping[str, Any], tell: Tell, stop: Callable[[], bool], parts: Parts | None = None
    ) -> None:
        self._setup, self._tell, self._stop = setup, tell, stop
        self._parts = parts or Parts()
        self._open = ExitStack()
        self._runtime: Runtime | None = None
        self._model: ServedModel | None = None
        self._engine: AnswerEngine | None = None
        self._talk: Conversation | None = None

    def close(self) -> None:
        """Let go of the library."""
        self._open.close()

    def handle(self, request: Mapping[str, Any]) -> None:
        """Work on a request; errors are the caller's to tell."""
        does: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "load": self._load,
            "ingest": self._ingest,
            "ask": self._ask,
            "retry": self._retry,
            "edit": self._edit,
            "undo": self._undo,
            "compare": self._compare,
            "why": self._why,
            "rate": self._rate,
            "fix": self._fix,
        }
        if self._stop():  # while it waited for its turn
            self._tell("stopped")
            return
        does[request["do"]](request)

    # -- making ready ------------------------------------------------------------------------------

    def _load(self, request: Mapping[str, Any]) -> None:
        model = self._chosen(request["options"])
        self._fetched(model)
        self._tell("stage", what=f"Loading {model.name}")
        chat = model.chat
        from assistant.chat_models.talk import context_tokens

        self._tell("ready", model=model.name, adapter=model.adapter, context=context_tokens(chat))

    def _fetched(self, model: ServedModel) -> None:
        """The weights on this machine, with the progress of a download."""
        from index.weights import CATALOGUE, model_folder

        if model.local and model.name in CATALOGUE:
            model_folder(model.name, offline=self._opened().settings.offline, progress=self._stage)

    def _stage(self, what: str, done: int, total: int) -> None:
        self._tell("stage", what=what, done=done, total=total)

    def _ingest(self, request: Mapping[str, Any]) -> None:
        reading = self._parts.reading(self._setup, self._tell, self._stop)
        report = reading.read([Path(path) for path in request["paths"]])
        self._tell(
            "ingested",
            added=report.added,
            updated=report.updated,
            removed=report.removed,
            unchanged=report.unchanged,
            skipped=[[skip.path, skip.reason] for skip in report.skipped],
            documents=report.documents,
            passages=report.passages,
            stopped=report.stopped,
        )

    def _opened(self) -> Runtime:
        if self._runtime is None:
            named = self._setup["library"]
            library = None if named is None else Path(named)
            self._runtime = self._open.enter_context(opened(library, self._setup["flags"]))
        return self._runtime

    def _chosen(self, options: Mapping[str, Any]) -> ServedModel:
        """The model as the options want it, and an engine that uses it."""
        runtime = self._opened()
        if not runtime.library.counts()[0]:
            raise NothingToDo(
                "The library holds no documents yet.", hint="/ingest FOLDER", code="no_documents"
            )
        if self._model is None or self._engine is None:
            self._tell("stage", what="Starting")
            self._model = self._parts.model(runtime)
            self._engine = self._parts.engine(runtime, self._model)
        self._model.choose(options["model"], options["adapter"])
        return self._model

    # -- answering ---------------------------------------------------------------------------------

    def _ask(self, request: Mapping[str, Any]) -> None:
        talk = self._conversation(request)
        self._told(talk.ask(request["question"], self._piece, self._stop, on_searched=self._searched))

    def _retry(self, request: Mapping[str, Any]) -> None:
        talk = self._conversation(request)
        self._told(talk.retry(self._piece, self._stop, on_searched=self._searched))

    def _edit(self, request: Mapping[str, Any]) -> None:
        talk = self._conversation(request)
        question = request["question"]
        self._told(talk.edit(question, None, self._piece, self._stop, on_searched=self._searched))

    def _undo(self, request: Mapping[str, Any]) -> None:
        turn = self._conversation(request).undo()
        self._tell("undone", turn=turn.id)

    def _told(self, turn: Turn) -> None:
        self._tell("turn", turn=turn.id, session=turn.session_id)

    def _piece(self, text: str) -> None:
        self._tell("piece", text=text)

    def _searched(self, text: str) -> None:
        self._tell("searched", text=text)

    def _conversation(self, request: Mapping[str, Any]) -> Conversation:
        """The conversation of the request's session (None: a new one), to be held with its options."""
        options = request["options"]
        model = self._chosen(options)
        if self._engine is None:
            raise AssertionError
        wanted = request["session"]
        talk = self._talk
        if talk is None or wanted is None or talk.session_id != wanted:
            store = Sessions(self._opened().library)
            session = None if wanted is None else store.open(wanted)
            talk = self._talk = Conversation(self._engine, store, session, model=model)
        talk.options = ChatOptions(
            k=options["k"] or model.passages,
            within=options["within"],
            retrieval=options["retrieval"],
            model=model.name,
            adapter=options["adapter"],
        )
        return talk

    def _compare(self, request: Mapping[str, Any]) -> None:
        """One question, answered by each of `sides`: {"adapter", "retrieval"}; nothing is stored."""
        options = request["options"]
        model = self._chosen(options)
        if self._engine is None:
            raise AssertionError
        self._engine.k = options["k"] or model.passages
        for number, side in enumerate(request["sides"]):
            model.choose(options["model"], side["adapter"])
            self._tell("side", side=number)
            try:
                with stopped_by(self._stop):
                    answer = self._engine.answer(
                        request["question"],
                        glob=options["within"],
                        retrieval=side["retrieval"],
                        show=self._piece,
                    )
            except Stopped:
                break
            self._tell("sided", side=number, answer=answer_row(answer))
        self._tell("compared")

    # -- looking into it ---------------------------------------------------------------------------

    def _why(self, request: Mapping[str, Any]) -> None:
        from assistant.chat.why import budget, nearest_examples

        model = self._chosen(request["options"])
        turn = Sessions(self._opened().library).turn(request["turn"])
        if turn.answer is None:
            raise UsageError("There is no answer to explain.")
        self._tell(
            "why",
            turn=turn.id,
            parts=budget(turn, model),
            reply_tokens=MAX_NEW_TOKENS,
            examples=nearest_examples(turn.searched, self._opened().library),
        )

    def _rate(self, request: Mapping[str, Any]) -> None:
        reviews, turn = self._reviewed(request)
        self._rated(reviews.good(turn) if request["rating"] == "good" else reviews.bad(turn))

    def _fix(self, request: Mapping[str, Any]) -> None:
        reviews, turn = self._reviewed(request)
        self._rated(reviews.fix(turn, request["answer"]))

    def _reviewed(self, request: Mapping[str, Any]) -> tuple[Reviews, Turn]:
        from assistant.chat.review import Reviews

        library = self._opened().library
        return Reviews(library), Sessions(library).turn(request["turn"])

    def _rated(self, reviewed: Reviewed) -> None:
        if self._talk is not None:
            self._talk.replace_turn(reviewed.turn)
        self._tell("rated", turn=reviewed.turn.id, text=reviewed.told)
