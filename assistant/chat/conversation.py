"""A conversation: questions that follow up on each other, answered by the engine, saved as they happen.

    talk = Conversation(engine, Sessions(library), model=model)
    turn = talk.ask("Who built the lighthouse of Brannock?", on_piece=print)
    turn = talk.ask("When was she born?")            # turn.searched: "When was Anna Kerr born?"

Each question is in the library before anything is made of it, and its answer in the moment that it is whole:
a kill loses at most the answer in flight. Not for several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from assistant.answer.engine import ModelSource
from assistant.chat.partial import partial_answer
from assistant.chat.records import ChatOptions, Session, Turn
from assistant.chat.rewriting import stand_alone
from assistant.chat.sessions import Sessions
from assistant.chat.stopping import StopAsked, Stopped, stopped_by
from corpora.errors import AssistantError, UsageError
from corpora.prompt import refuse_endless
from corpora.records import Answer
from corpora.store import NewTurn

OnText = Callable[[str], None]


class ChatEngine(Protocol):
    """The part of `AnswerEngine` that is needed here; `k` passages are found for a question."""

    k: int

    def answer(
        self,
        question: str,
        *,
        glob: str | None = None,
        retrieval: bool = True,
        extractive: bool = False,
        show: OnText | None = None,
    ) -> Answer: ...


class Conversation:
    """One session as it is held. Without a session a new one begins with the first question.

    `model` writes a follow-up as a question of its own, where it can; without it, rules do. `engine`,
    `options` and `model` may be replaced between two questions.
    """

    def __init__(
        self,
        engine: ChatEngine,
        store: Sessions,
        session: Session | None = None,
        options: ChatOptions | None = None,
        *,
        model: ModelSource | None = None,
    ) -> None:
        self.engine, self.store, self.model = engine, store, model
        self.options = options or ChatOptions()
        self._own_k = engine.k
        self._session = session
        self._turns: list[Turn] = list(store.turns(session.id)) if session else []

    @property
    def session(self) -> Session | None:
        """The session as it is now; None before the first question."""
        if self._session is not None:
            self._session = self.store.open(self._session.id)
        return self._session

    @property
    def session_id(self) -> str | None:
        """The id of the session, which may have been deleted meanwhile; None before the first question."""
        return self._session.id if self._session else None

    @property
    def turns(self) -> Sequence[Turn]:
        """What was said, oldest first; a pending one was cut off by a kill."""
        return tuple(self._turns)

    def ask(
        self,
        question: str,
        on_piece: OnText | None = None,
        stop: StopAsked | None = None,
        *,
        on_searched: OnText | None = None,
    ) -> Turn:
        """Answer a question; what comes back is stored.

        `on_searched` hears the stand-alone question where it differs, before `on_piece` hears the text of the
        answer as it becomes certain. `stop` is asked at every token: the turn is then "cancelled", with what
        was said until then. What the user can mend becomes a turn with status "error"; anything else is
        raised.
        """
        return self._asked(question, len(self._turns), on_piece, stop, on_searched)

    def retry(
        self,
        on_piece: OnText | None = None,
        stop: StopAsked | None = None,
        *,
        on_searched: OnText | None = None,
    ) -> Turn:
        """Ask the last question again, say of another model; a whole answer replaces the last."""
        return self._asked(self._last().question, len(self._turns) - 1, on_piece, stop, on_searched)

    def edit(
        self,
        question: str,
        turn: Turn | None = None,
        on_piece: OnText | None = None,
        stop: StopAsked | None = None,
        *,
        on_searched: OnText | None = None,
    ) -> Turn:
        """Ask `question` in place of a turn (the last one); a whole answer replaces it and all after it."""
        wanted = turn or self._last()
        at = next((n for n, one in enumerate(self._turns) if one.id == wanted.id), None)
        if at is None:
            raise UsageError("This question is not in the conversation any more.")
        return self._asked(question, at, on_piece, stop, on_searched)

    def undo(self) -> Turn:
        """Take back the last question with its answer; returns it. Raises UsageError where there is none."""
        last = self._last()
        self.store.remove([last])
        self._turns.pop()
        return last

    def fork(self, last: Turn | None = None, name: str = "") -> Conversation:
        """Go on in a copy of the conversation, up to the turn `last` if it is given; this one stays."""
        if self._session is None:
            raise UsageError("There is nothing to fork yet.", hint="ask a question first")
        forked = self.store.fork(self._session, last, name)
        return Conversation(self.engine, self.store, forked, self.options, model=self.model)

    def replace_turn(self, turn: Turn) -> None:
        """Take over what became of a turn elsewhere, such as its rating."""
        self._turns = [turn if one.id == turn.id else one for one in self._turns]

    def _last(self) -> Turn:
        if not self._turns:
            raise UsageError("There is no question yet.")
        return self._turns[-1]

    def _asked(
        self,
        question: str,
        at: int,
        on_piece: OnText | None,
        stop: StopAsked | None,
        on_searched: OnText | None,
    ) -> Turn:
        """Ask with the turns before number `at` as history; those from there on are replaced."""
        question = question.strip()
        if not question:
            raise UsageError("Empty question.")
        refuse_endless(question)
        history, replaced = self._turns[:at], self._turns[at:]
        asked = stop or (lambda: False)
        options = self.options
        turn = self.store.begin(
            self._session, NewTurn(question, question, options.model, options.adapter, options.retrieval)
        )
        self._session = self._session or self.store.open(turn.session_id)
        self._turns.append(turn)
        heard: list[str] = []

        def hear(text: str) -> None:
            heard.append(text)
            if on_piece is not None:
                on_piece(text)

        try:
            with stopped_by(asked):
                turn = self._rewritten(turn, history, on_searched)
                answer = self._answered(turn, hear)
            finished = self.store.finish(turn, "done", answer=answer, instead_of=replaced)
        except Stopped:
            finished = self._cancelled(turn, "".join(heard))
        except AssistantError as error:
            words = f"{error.message}\n{error.hint}" if error.hint else error.message
            finished = self.store.finish(turn, "error", error=words)
        except BaseException as error:
            self._turns[-1] = self.store.finish(turn, "error", error=f"{type(error).__name__}: {error}")
            raise
        before = history if finished.status == "done" else [*history, *replaced]
        self._turns = [*before, finished]
        return finished

    def _rewritten(self, turn: Turn, history: Sequence[Turn], on_searched: OnText | None) -> Turn:
        searched = stand_alone(turn.question, history, self.model)
        if searched == turn.question:
            return turn
        self.store.set_searched(turn, searched)
        if on_searched is not None:
            on_searched(searched)
        return replace(turn, searched=searched)

    def _answered(self, turn: Turn, show: OnText | None) -> Answer:
        options = self.options
        self.engine.k = options.k or self._own_k
        return self.engine.answer(turn.searched, glob=options.within, retrieval=options.retrieval, show=show)

    def _cancelled(self, turn: Turn, heard: str) -> Turn:
        answer = None
        if heard.strip():
            options = self.options
            found = (
                self.engine.answer(turn.searched, glob=options.within, extractive=True)
                if options.retrieval
                else None
            )
            answer = partial_answer(turn.searched, heard, found, options.model, options.adapter)
        return self.store.finish(turn, "cancelled", answer=answer)
