"""What the slash commands do: a method for each of `assistant.tui.slash.COMMANDS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from assistant.paths import is_there, typed_path
from assistant.tui import slash, words
from assistant.tui.compare import CompareScreen, sides
from assistant.tui.dialogs import Confirm, Correction
from assistant.tui.keeping import SessionCommands
from corpora.errors import UsageError
from corpora.store.glob import compile_glob

_MOST_CHOICES = 50
_SHORT_THEMES = {"light": "textual-light", "dark": "textual-dark"}


class Commands(SessionCommands):
    """Runs commands on a chat screen and completes their arguments."""

    async def run(self, line: slash.Line) -> None:
        """Do what a line says."""
        if line.command is None:
            close = slash.nearest(line.name)
            hint = f"; did you mean /{close}?" if close else "; /help lists them"
            self._chat.tell(f"There is no command /{line.name}{hint}", "warning")
            return
        method = getattr(self, f"_{line.name}")
        await method(line.argument)

    def choices(self, name: str, beginning: str) -> Sequence[str]:
        """How the argument of a command can go on."""
        if name == "ingest":
            return _folders(beginning)
        app = self._chat.chat_app
        known: dict[str, Sequence[str]] = {
            "rag": ("on", "off"),
            "theme": sorted([*_SHORT_THEMES, *app.available_themes]),
            "adapter": ["none", *app.names["adapters"]],
            "model": app.names["models"],
            "in": app.names["paths"],
        }
        lowered = beginning.lower()
        return [one for one in known.get(name, ()) if lowered in one.lower()][:_MOST_CHOICES]

    # -- the last turn -----------------------------------------------------------------------------

    async def _retry(self, _argument: str) -> None:
        view = self._chat.transcript.last
        if not self._busy() and view is not None:
            if view.turn is None:  # nothing of it was kept
                await self._chat.transcript.take_back(view)
                await self._chat.ask("ask", view.question)
            else:
                await self._chat.ask("retry", view.question, replaces=view)

    async def _undo(self, _argument: str) -> None:
        view = self._chat.transcript.last
        if self._busy() or view is None:
            return
        if view.turn is None:
            await self._chat.transcript.take_back(view)
        else:
            self._chat.request("undo", "quiet", "undoing")

    async def _edit(self, _argument: str) -> None:
        view = self._chat.transcript.last
        if not self._busy() and view is not None and view.turn is not None:
            self._chat.set_editing(True)
            self._chat.entry.set_text(view.question)

    # -- how it is answered ------------------------------------------------------------------------

    async def _model(self, argument: str) -> None:
        if not argument:
            self._chat.tell(f"The model is {self._chat.state.model}; /model NAME takes another one.")
        else:
            self._choose(model=argument, adapter=None)

    async def _adapter(self, argument: str) -> None:
        if not argument:
            using = self._chat.state.adapter or "none"
            self._chat.tell(f"The adapter is {using}; /adapter NAME takes another one, /adapter none none.")
        else:
            self._choose(adapter=argument)

    def _choose(self, **changes: Any) -> None:
        if self._busy():
            return
        before = self._chat.chosen
        self._chat.chosen = replace(before, **changes)
        self._chat.request("load", "load", "loading", before=before)

    async def _rag(self, argument: str) -> None:
        if argument not in ("on", "off"):
            self._chat.tell("/rag on answers from the documents, /rag off from the model alone.", "warning")
            return
        self._chat.chosen = replace(self._chat.chosen, retrieval=argument == "on")
        self._chat.state.retrieval = argument == "on"
        self._chat.refresh_state()

    async def _k(self, argument: str) -> None:
        if not argument.isascii() or not argument.isdigit() or not 1 <= int(argument) <= 100:
            self._chat.tell("/k takes a number from 1 to 100.", "warning")
            return
        self._chat.chosen = replace(self._chat.chosen, k=int(argument))
        self._chat.state.k = int(argument)
        self._chat.refresh_state()

    async def _in(self, argument: str) -> None:
        within = argument or None
        try:
            compile_glob(argument)
        except UsageError as error:
            self._chat.tell(error.message, "warning")
            return
        self._chat.chosen = replace(self._chat.chosen, within=within)
        self._chat.state.within = within
        self._chat.refresh_state()

    async def _ingest(self, argument: str) -> None:
        folder = typed_path(argument.strip("\"'") or ".")
        if self._busy():
            return
        if not is_there(folder):
            self._chat.entry.set_text(f"/ingest {argument}")
            self._chat.tell(f"There is no {folder}.", "warning")
            return
        if self._chat.facts is not None:
            self._read(folder, True)
            return
        detail = (
            f"{folder.resolve()}\nWhat is in it is read into a new library, {self._chat.chat_app.new_library}"
        )
        dialog = Confirm("Read these documents?", detail, "Read")
        self._chat.app.push_screen(dialog, lambda yes: self._read(folder, yes))

    def _read(self, folder: Path, yes: bool | None) -> None:
        if yes:
            self._chat.request("ingest", "ingest", "reading", paths=[str(folder)])

    # -- looking into it ---------------------------------------------------------------------------

    async def _compare(self, argument: str) -> None:
        turn = self._chat.last_turn
        question = argument or (turn.searched if turn else "")
        if self._busy() or self._chat.facts is None:
            return
        if not question:
            self._chat.tell("/compare QUESTION, or ask a question first.", "warning")
            return
        if self._chat.requests.loading:
            self._chat.tell("The model is still being loaded.", "warning")
            return
        compared = sides(self._chat.state.adapter)
        await self._chat.app.push_screen(CompareScreen(question, compared, self._chat.requests.stop))
        rows = [{"adapter": side.adapter, "retrieval": side.retrieval} for side in compared]
        self._chat.request("compare", "compare", "comparing", question=question, sides=rows)

    async def _sources(self, argument: str) -> None:
        turn = self._chat.last_turn
        if not argument:
            self._chat.action_sources()
        elif turn is not None and argument.isascii() and argument.isdigit():
            self._chat.open_source(turn, int(argument))
        else:
            self._chat.tell("/sources N opens source N of the last answer.", "warning")

    async def _why(self, _argument: str) -> None:
        turn = self._chat.last_turn
        if not self._busy() and turn is not None and turn.answer is not None:
            self._chat.request("why", "quiet", "looking", turn=turn.id)

    async def _good(self, _argument: str) -> None:
        self._rated("good")

    async def _bad(self, _argument: str) -> None:
        self._rated("bad")

    def _rated(self, rating: str) -> None:
        turn = self._chat.last_turn
        if not self._busy() and turn is not None and turn.answer is not None:
            self._chat.request("rate", "quiet", "keeping", turn=turn.id, rating=rating)

    async def _fix(self, _argument: str) -> None:
        from assistant.chat.rewriting.history import without_markers

        turn = self._chat.last_turn
        if not self._busy() and turn is not None and turn.answer is not None:
            said = "" if turn.answer.refused else without_markers(turn.answer.answer or "")
            turn_id = turn.id
            self._chat.app.push_screen(
                Correction(turn.question, said), lambda answer: self._corrected(turn_id, answer)
            )

    def _corrected(self, turn_id: int, answer: str | None) -> None:
        if answer is not None:
            self._chat.request("fix", "quiet", "keeping", turn=turn_id, answer=answer)

    # -- the rest ----------------------------------------------------------------------------------

    async def _help(self, _argument: str) -> None:
        self._chat.chat_app.show_help()

    async def _copy(self, _argument: str) -> None:
        self.copy()

    def copy(self) -> None:
        """Copy the last answer."""
        view = self._chat.transcript.last
        if view is None or not view.written:
            self._chat.tell("There is no answer to copy.", "warning")
        else:
            self._chat.app.copy_to_clipboard(words.text(view.written).plain)
            self._chat.tell("The last answer is copied.")

    async def _theme(self, argument: str) -> None:
        app = self._chat.chat_app
        name = _SHORT_THEMES.get(argument, argument)
        if not name:
            self._chat.app.search_themes()
        elif name in app.available_themes:
            app.theme = name
        else:
            self._chat.tell(f"There is no theme {name}; /theme lists them.", "warning")

    async def _quit(self, _argument: str) -> None:
        self._chat.app.exit()


def _folders(beginning: str) -> list[str]:
    """Folders and files that a path can go on with; nothing of a folder that cannot be read."""
    head, slash_, tail = beginning.rpartition("/")
    folder = typed_path(head + slash_ or ".")
    try:
        found = [
            one for one in folder.iterdir() if one.name.startswith(tail) and not one.name.startswith(".")
        ]
        names = [
            f"{head}{slash_}{one.name}{'/' if one.is_dir() else ''}" for one in sorted(found)[:_MOST_CHOICES]
        ]
    except OSError:
        return []
    return names if beginning else [".", *names]
