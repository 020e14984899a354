"""Pages to read: `/why`, and the help with the keys as they are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from assistant.tui import words
from assistant.tui.slash import COMMANDS
from assistant.tui.words import DIM

if TYPE_CHECKING:
    from assistant.chat.records import Turn

_BAR = 24  # columns
_QUESTION = 80


class Page(ModalScreen[None]):
    """Text in a box that scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("escape,q,f1", "dismiss(None)", "Back"),
    ]

    def __init__(self, heading: str, content: Content) -> None:
        super().__init__()
        self._heading, self._content = heading, content

    def compose(self) -> ComposeResult:
        """Heading over text."""
        with Vertical(classes="page-box"):
            yield Static(Content(self._heading), markup=False, classes="heading")
            with VerticalScroll(id="page-scroll"):
                yield Static(self._content, markup=False, id="page")
        yield Footer(compact=True, show_command_palette=False)

    def action_scroll(self, direction: int) -> None:
        """A line."""
        self.query_one("#page-scroll").scroll_relative(y=direction, animate=False)

    def action_page(self, direction: int) -> None:
        """A page."""
        scroll = self.query_one("#page-scroll")
        scroll.scroll_relative(y=direction * max(1, scroll.size.height - 1), animate=False)


def help_content(keys: Sequence[tuple[str, str, str]], config: str) -> Content:
    """Keys as (keys, what they do, id for the config), commands, and where settings go."""
    wide = max(len(key) for key, _, _ in keys)
    lines = [Content.styled("Keys", "bold $text-accent")]
    for key, what, name in keys:
        lines.append(Content.assemble((f"  {key:<{wide}}  ", "bold"), what, (f"  {name}", DIM)))
    lines += [Content(" "), Content.styled("Commands (Tab completes)", "bold $text-accent")]
    usages = [f"/{command.name} {command.argument}".rstrip() for command in COMMANDS]
    wide = max(map(len, usages))
    for usage, command in zip(usages, COMMANDS, strict=True):
        lines.append(Content.assemble((f"  {usage:<{wide}}  ", "bold"), command.help))
    lines += [
        Content(" "),
        Content.styled("Settings", "bold $text-accent"),
        words.line(f"  {config}: theme, editor, and [keys] with the ids above"),
    ]
    return Content("\n").join(lines)


def why_content(turn: Turn, event: Mapping[str, Any], context: int | None) -> Content:
    """Passages with scores, the prompt's token budget, the nearest training examples."""
    lines = [words.line(turn.question, "bold")]
    if turn.searched != turn.question:
        lines.append(words.line(f"searched: {turn.searched}", f"italic {DIM}"))
    lines += [Content(" "), Content.styled("Passages found", "bold $text-accent")]
    lines += _passages(turn)
    lines += [Content(" "), Content.styled("Tokens of the prompt", "bold $text-accent")]
    lines += _budget(event["parts"], int(event["reply_tokens"]), context)
    lines += [
        Content(" "),
        Content.styled("Nearest training examples (by shared words)", "bold $text-accent"),
    ]
    lines += _examples(event["examples"])
    return Content("\n").join(lines)


def _passages(turn: Turn) -> list[Content]:
    answer = turn.answer
    if answer is None or not answer.passages:
        return [Content.styled("  none", DIM)]
    cited = {citation.passage_id for citation in answer.citations}
    read = len(answer.passages) - answer.passages_left_out
    lines = []
    for place, hit in enumerate(answer.passages):
        marks = [
            name for name, yes in (("cited", hit.passage.id in cited), ("not read", place >= read)) if yes
        ]
        lines.append(
            Content.assemble(
                words.line(f"[{hit.rank}]", "bold"),
                " ",
                words.line(words.where(hit.passage)),
                "  ",
                words.line(words.score(hit), DIM),
                (f"  {', '.join(marks)}" if marks else "", "bold $text-success"),
            )
        )
        lines.append(Content.assemble("    ", words.line(hit.passage.text, DIM, 70)))
    return lines


def _budget(parts: Sequence[tuple[str, int]], reply: int, context: int | None) -> list[Content]:
    if not parts:
        return [Content.styled("  no model was asked", DIM)]
    total = sum(tokens for _, tokens in parts)
    most = max(total, 1)
    lines = []
    for name, tokens in parts:
        bar = "█" * max(1, round(_BAR * tokens / most)) if tokens else ""
        lines.append(
            Content.assemble(f"  {tokens:>6}  ", (f"{bar:<{_BAR}}  ", "$text-accent"), words.line(name))
        )
    room = f" of {context}" if context else ""
    lines.append(Content.styled(f"  {total:>6}  in all{room}; {reply} are kept free for the answer", DIM))
    return lines


def _examples(examples: Sequence[Mapping[str, Any]]) -> list[Content]:
    if not examples:
        return [Content.styled("  none in this library: assistant generate, /good and /fix make them", DIM)]
    lines = []
    for example in examples:
        source = "reviewed by you" if example["reviewed"] else str(example["method"])
        answer = example["answer"] if example["answer"] is not None else "(not in the documents)"
        lines.append(
            Content.assemble(
                (f"  {example['share']:.0%} ", "bold"),
                words.line(str(example["question"]), "", _QUESTION),
                words.line(f"  {source}", DIM),
            )
        )
        lines.append(Content.assemble("      ", words.line(str(answer), DIM, _QUESTION)))
    return lines
