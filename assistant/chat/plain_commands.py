"""The slash commands of `chat --plain`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from assistant.answer.screen import AnswerScreen, passage_place
from assistant.chat.export import session_line, turn_lines
from assistant.chat.exporting import export_path, write_export
from assistant.chat.records import Turn
from assistant.chat.review import Reviewed, Reviews
from assistant.chat.stopping import Stopped, interrupts, stopped_by
from assistant.output import emit_text
from assistant.terminal import clean_line, say
from corpora.errors import UsageError
from corpora.store.glob import compile_glob

if TYPE_CHECKING:
    from assistant.chat.talking import Talk

_HELP = """\
/new  /sessions [WORDS]  /open ID  /rename NAME  /fork  /export [FILE.md|FILE.json]
/ingest FOLDER  /model [NAME]  /adapter [NAME|none]  /rag on|off  /k N  /in [GLOB]
/retry  /undo  /edit QUESTION  /compare [QUESTION]  /sources  /why
/good  /bad  /fix [RIGHT ANSWER]  /help  /quit
A line that ends in \\ goes on in the next one."""
_MOST_K = 100
_LISTED = 20


class Answers(Protocol):
    """The part of the loop that is needed here."""

    def answer(self, ask: Callable[..., Turn]) -> Turn: ...


class PlainCommands:
    """Runs commands on a talk; each returns nothing and says what came of it."""

    def __init__(self, talk: Talk, loop: Answers, read: Callable[[str], None]) -> None:
        self._talk, self._loop = talk, loop
        self._does: dict[str, Callable[[str], None]] = {
            "help": lambda _: emit_text(_HELP),
            "new": self._new,
            "sessions": self._sessions,
            "open": self._open,
            "rename": self._rename,
            "fork": self._fork,
            "export": self._export,
            "model": self._model,
            "adapter": self._adapter,
            "rag": self._rag,
            "ingest": read,
            "k": self._k,
            "in": self._in,
            "retry": lambda _: self._ask(self._talk.conversation.retry),
            "undo": self._undo,
            "edit": self._edit,
            "compare": self._compare,
            "sources": self._sources,
            "why": self._why,
            "good": lambda _: self._reviewed(Reviews(self._talk.library).good(self._last())),
            "bad": lambda _: self._reviewed(Reviews(self._talk.library).bad(self._last())),
            "fix": lambda said: self._reviewed(Reviews(self._talk.library).fix(self._last(), said)),
        }

    def is_command(self, line: str) -> bool:
        """`/name ...`; a path like /etc/hosts is a question."""
        name = line.strip().partition(" ")[0]
        return name[:1] == "/" and name[1:].isascii() and name[1:].isalpha()

    def run(self, line: str) -> bool:
        """Do what the line says; False for /quit. Raises AssistantError."""
        name, _, argument = line.strip()[1:].partition(" ")
        if name in ("quit", "exit"):
            return False
        if name not in self._does:
            raise UsageError(f"There is no command /{clean_line(name)}.", hint="/help lists them")
        self._does[name](argument.strip())
        return True

    # -- conversations -----------------------------------------------------------------------------

    def _new(self, _argument: str) -> None:
        self._talk.open(None)
        say("A new conversation.")

    def _sessions(self, words: str) -> None:
        found = [
            session
            for session, _ in (
                self._talk.sessions.search(words, _LISTED)
                if words
                else [(one, None) for one in self._talk.sessions.list(_LISTED)]
            )
        ]
        for session in found:
            emit_text(session_line(session))
        say("/open ID goes on with one." if found else "No such conversations.")

    def _open(self, name: str) -> None:
        self._talk.open(self._talk.sessions.open(name))
        for turn in self._talk.conversation.turns:
            emit_text(f"> {clean_line(turn.question)}")
            for line in turn_lines(turn):
                emit_text(line)

    def _rename(self, name: str) -> None:
        session = self._talk.conversation.session
        if session is None or not name:
            raise UsageError("/rename NAME, after a first question.")
        say(f"It is called {clean_line(self._talk.sessions.rename(session, name).name)} now.")

    def _fork(self, _argument: str) -> None:
        self._talk.conversation = self._talk.conversation.fork()
        say("You go on in a copy; the first one stays as it is.")

    def _export(self, argument: str) -> None:
        session = self._talk.conversation.session
        if session is None:
            raise UsageError("Nothing was said yet.")
        path = export_path(argument, session.name)
        write_export(self._talk.sessions, session, path, over=False)
        say(f"Written to {path}.")

    # -- how it is answered ------------------------------------------------------------------------

    def _model(self, name: str) -> None:
        if name:
            self._talk.change(replace(self._talk.options, model=name, adapter=None))
        say(f"The model is {clean_line(self._talk.model.name)}.")

    def _adapter(self, name: str) -> None:
        if name:
            self._talk.change(replace(self._talk.options, adapter=name))
        say(f"The adapter is {clean_line(self._talk.model.adapter or 'none')}.")

    def _rag(self, argument: str) -> None:
        if argument not in ("on", "off"):
            raise UsageError("/rag on answers from the documents, /rag off from the model alone.")
        self._talk.change(replace(self._talk.options, retrieval=argument == "on"))

    def _k(self, argument: str) -> None:
        if not argument.isascii() or not argument.isdigit() or not 1 <= int(argument) <= _MOST_K:
            raise UsageError(f"/k takes a number from 1 to {_MOST_K}.")
        self._talk.change(replace(self._talk.options, k=int(argument)))

    def _in(self, argument: str) -> None:
        compile_glob(argument)
        self._talk.change(replace(self._talk.options, within=argument or None))

    # -- the last turn -----------------------------------------------------------------------------

    def _undo(self, _argument: str) -> None:
        say(f"Taken back: {clean_line(self._talk.conversation.undo().question)}")

    def _edit(self, question: str) -> None:
        if not question:
            raise UsageError("/edit QUESTION asks it in place of the last one.")
        self._ask(partial(self._talk.conversation.edit, question))

    def _ask(self, ask: Callable[..., Turn]) -> None:
        self._loop.answer(ask)

    def _compare(self, question: str) -> None:
        """The adapter against the base, documents on against off; nothing of it is saved."""
        talk = self._talk
        question = question or self._last().searched
        chosen = talk.options
        adapter = talk.model.adapter
        talk.engine.k = chosen.k or talk.model.passages
        try:
            with interrupts() as stop, stopped_by(stop):
                for name in dict.fromkeys((adapter or "none", "none")):
                    talk.model.choose(chosen.model, name)
                    for retrieval in (True, False):
                        with_adapter = f"adapter {name}" if name != "none" else "base model"
                        emit_text(f"--- {with_adapter}, {'documents' if retrieval else 'no documents'}")
                        answer = talk.engine.answer(question, glob=chosen.within, retrieval=retrieval)
                        AnswerScreen(talk.library.root, links=False).finish(answer)
        except Stopped:
            say("Stopped.")
        finally:
            talk.model.choose(chosen.model, chosen.adapter)

    def _sources(self, number: str) -> None:
        answer = self._last().answer
        found = [hit for hit in (answer.passages if answer else ()) if number in ("", str(hit.rank))]
        if number and not found:
            raise UsageError("/sources N shows source N of the last answer.")
        for hit in found:
            emit_text(f"[{hit.rank}] {clean_line(passage_place(hit.passage))}")
            emit_text(hit.passage.text)

    def _why(self, _argument: str) -> None:
        from assistant.chat.why import budget, nearest_examples
        from assistant.chat_models.talk import context_tokens

        turn = self._last()
        answer = turn.answer
        if answer is None:
            raise UsageError("There is no answer to explain.")
        emit_text(f"searched: {clean_line(turn.searched)}")
        for hit in answer.passages:
            sides = f"dense {_number(hit.dense)}, words {_number(hit.lexical)}"
            emit_text(f"[{hit.rank}] {hit.score:.3f} ({sides})  {clean_line(passage_place(hit.passage))}")
        parts = budget(turn, self._talk.model)
        for name, tokens in parts:
            emit_text(f"{tokens:6} tokens  {clean_line(name)}")
        if parts:
            used = sum(tokens for _, tokens in parts)
            emit_text(f"{used:6} tokens of {context_tokens(self._talk.model.chat)}")
        for example in nearest_examples(turn.searched, self._talk.library):
            said = "(refusal)" if example["answer"] is None else clean_line(example["answer"])
            emit_text(f"example {example['share']:.2f}  {clean_line(example['question'])}  → {said}")

    def _reviewed(self, reviewed: Reviewed) -> None:
        self._talk.conversation.replace_turn(reviewed.turn)
        say(reviewed.told)

    def _last(self) -> Turn:
        turns = self._talk.conversation.turns
        if not turns:
            raise UsageError("Ask a question first.")
        return turns[-1]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
