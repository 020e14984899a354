"""An adapter as a line of `adapters list` and as the page of `adapters show`, its card in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from assistant.state import human_size
from assistant.terminal import clean, clean_line

if TYPE_CHECKING:
    from assistant.adapters import Listed
    from finetune.adapters.state import AdapterState
    from finetune.card import Card, Data, GateVerdict

_SHOWN = 5  # documents named one by one
_HEAD = ("", "name", "base", "method", "made", "size", "standing", "gate")


def table(adapters: Sequence[Listed]) -> list[str]:
    """A line for each adapter under a heading; `*` is in use, `-` was in use before."""
    rows = [_HEAD, *(_cells(one) for one in adapters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def page(adapter: Listed) -> Iterator[str]:
    """Cleaned lines: what it is, what it learned from, how it was trained, how it was judged."""
    state, card = adapter.state, adapter.state.card
    use = "  (in use)" if adapter.active else "  (in use before)" if adapter.previous else ""
    yield _line("name", adapter.name + use)
    yield _line("standing", f"{state.standing}: {state.problem}" if state.problem else state.standing)
    yield from _stale(state)
    yield _line("folder", f"{state.adapter.folder} ({human_size(state.bytes)})")
    if card is None:
        return
    yield from _origin(card)
    yield from _data(card.data)
    yield from _training(card)
    if card.verdict is None:
        yield _line("verdict", "none: not judged")
    else:
        yield from _verdict(card.verdict)


def _origin(card: Card) -> Iterator[str]:
    yield _line("made", card.created)
    yield _line("base", f"{card.base.name} ({card.base.fingerprint[:12]})")
    if card.base.note:
        yield _line("", card.base.note)
    if card.parent:
        yield _line("began from", f"{card.parent.name} ({card.parent.weights_sha256[:12]})")
    for part in card.merged_from:
        yield _line("merged from", f"{part.weight:g} x {part.name} ({part.weights_sha256[:12]})")
    yield _line("prompts", f"version {card.prompt_version}, chat template {card.template_sha256[:12]}")
    if card.serving:
        threshold = card.serving.refusal_threshold
        refusal = "by its text" if threshold is None else f"where its probability is over {threshold:.3g}"
        examples = "with" if card.serving.examples else "without"
        yield _line("asked", f"{examples} examples in the prompt; refuses {refusal}")
    if card.purpose != "answer":
        yield _line("purpose", f"writes {card.purpose}s")
    yield _line("weights", f"sha256 {card.weights_sha256}")
    yield _line("licences", ", ".join(card.licences) or "-")


def _data(data: Data) -> Iterator[str]:
    rows = sum(data.kinds.values())
    yield _line("rows", f"{rows:,} ({_counts(data.kinds)})" if rows else "-")
    yield _line("written by", _counts(data.methods) or "-")
    yield _line("languages", ", ".join(data.languages) or "-")
    for source in data.sources:
        yield _line("source", f"{source.name}: {source.rows:,} rows, licence {source.licence or 'none'}")
    yield _line("documents", f"{len(data.documents):,}")
    for document in data.documents[:_SHOWN]:
        yield _line("", f"{document.path} ({document.sha256[:12]})")
    if len(data.documents) > _SHOWN:
        yield _line("", f"… and {len(data.documents) - _SHOWN:,} more (--json has all)")
    yield _line("data", f"sha256 {data.sha256}")


def _training(card: Card) -> Iterator[str]:
    yield _line("method", card.method)
    run = card.training
    if run is not None:
        best = f", best {run.best_step}" if run.best_step is not None else ""
        both = {"training": run.train_loss, "validation": run.validation_loss}
        losses = [f"{name} {loss:.3f}" for name, loss in both.items() if loss is not None]
        took = f"{run.seconds / 60:.1f} min, {run.peak_bytes / 2**30:.1f} GiB"
        yield _line("trained", f"{run.steps:,} steps{best}; {run.tokens:,} tokens; {took}")
        yield _line("loss", ", ".join(losses) or "-")
    for name, setting in card.settings.items():
        yield _line("setting", f"{name} = {setting.value}  {setting.origin}")
    yield _line("versions", ", ".join(f"{name} {version}" for name, version in card.versions.items()) or "-")


def _verdict(verdict: GateVerdict) -> Iterator[str]:
    word = "promoted" if verdict.promoted else "not promoted"
    asked = "" if verdict.gate else " (the gate was not asked)"
    yield _line("verdict", f"{word}{asked}: {verdict.reason}")
    yield from ("  " + clean(row).replace("\n", " ").replace("\t", " ") for row in verdict.table)


def _stale(state: AdapterState) -> Iterator[str]:
    for document in state.stale[:_SHOWN]:
        yield _line("", f"{document.path}: {document.reason}")
    if len(state.stale) > _SHOWN:
        yield _line("", f"… and {len(state.stale) - _SHOWN:,} more")


def _cells(adapter: Listed) -> tuple[str, ...]:
    state, card = adapter.state, adapter.state.card
    verdict = card.verdict if card else None
    judged = "-" if verdict is None or not verdict.gate else "passed" if verdict.promoted else "failed"
    return (
        "*" if adapter.active else "-" if adapter.previous else "",
        adapter.name,
        clean_line(card.base.name) if card else "?",
        clean_line(card.method) if card else "?",
        "shipped" if state.adapter.shipped else clean_line(card.created)[:16] if card else "?",
        human_size(state.bytes),
        state.standing,
        judged,
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _line(name: str, value: str) -> str:
    return f"{name:12}{clean_line(value)}"
