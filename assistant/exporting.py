"""An export put together from the library: the adapter by name, the questions of the check, the report."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.answer.build import EMBEDDED_PASSAGES, MAX_NEW_TOKENS
from assistant.output import emit_json, emit_text
from assistant.progress import Bar, progress
from assistant.terminal import clean_line, say
from corpora.errors import NothingToDo, UsageError
from corpora.store import ExampleStore
from finetune.card import is_adapter_name
from finetune.export.llama_cpp import PACKAGE, is_installed
from finetune.export.parity import LEAST_AGREEING, LEAST_CUT_ALIKE, MOST_DIFFERENCE, Parity, Prompt
from finetune.export.run import Exported, Format, check, export, refuse_impossible
from finetune.export.source import Source, json_object, read_source

if TYPE_CHECKING:
    from assistant.runtime import Runtime
    from finetune.export.gguf_file import Precision
    from finetune.rows.records import PassageSource

_CONTEXT = 8192  # as much as a model is given here
_INSTRUCTIONS = ("instruction", "grounded-instruction")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for; `check` is the number of questions, `questions` a file of the user's."""

    name: str
    form: Format
    output: Path
    precision: Precision
    check: int
    questions: Path | None


@dataclass(frozen=True, slots=True)
class Done:
    """A finished export; `unchecked` says why there is no `parity`."""

    exported: Exported
    precision: Precision | None
    parity: Parity | None
    unchecked: str | None

    def row(self) -> dict[str, Any]:
        """The object of the contract."""
        source = self.exported.source
        return {
            "name": source.name,
            "format": self.exported.form,
            "output": str(self.exported.folder),
            "files": list(self.exported.files),
            "bytes": self.exported.bytes,
            "precision": self.precision,
            "base": source.base_name,
            "method": source.method,
            "rounding": source.rounding,
            "licences": list(source.licences),
            "check": self.parity.row() if self.parity else None,
            "unchecked": self.unchecked,
        }


def run(runtime: Runtime, wish: Wish) -> Done:
    """Export and check. Everything that can be refused is refused before weights are read."""
    source = _source(runtime, wish.name)
    refuse_impossible(source, wish.form, wish.output)
    reason = _unchecked(source, wish)
    prompts: list[Prompt] = []
    if reason is None:
        prompts = _prompts(runtime, source, wish)
        reason = None if prompts else "the library has no held-out questions; --questions FILE names some"
    with progress("Writing") as bar:
        exported = export(
            source,
            wish.form,
            wish.output,
            precision=wish.precision,
            advance=lambda n, total: _advance(bar, n, total),
        )
    parity = None
    if prompts:
        with progress("Checking", 2 * len(prompts)) as bar:
            parity = check(exported, prompts, most=MAX_NEW_TOKENS, advance=bar.advance)
    return Done(exported, wish.precision if wish.form == "gguf" else None, parity, reason)


def show(done: Done, *, as_json: bool) -> None:
    """What was written, and how it compares."""
    if as_json:
        emit_json(done.row())
        return
    exported = done.exported
    kind = exported.form if done.precision is None else f"{exported.form} ({done.precision})"
    size = f"{exported.bytes / 1e6:.0f} MB"
    emit_text(f"{clean_line(exported.source.name)} as {kind} in {clean_line(str(exported.folder))}: {size}")
    emit_text(f"  {'  '.join(exported.files)}")
    if exported.source.rounding:
        emit_text(
            f"  on the weights that it was trained on: the {exported.source.rounding} rounding of the base"
        )
    if done.parity is None:
        say(f"not checked: {done.unchecked}")
        return
    for line in _table(done.parity):
        emit_text(line)


def _table(parity: Parity) -> list[str]:
    count = len(parity.pairs)
    difference = parity.mean_difference
    rows = [
        ("identical answers", f"{parity.identical} of {count}", ""),
        ("these, or other from a tie on", f"{parity.agreeing} of {count}", f"at least {LEAST_AGREEING:.0%}"),
        ("F1 of one in the other", f"{parity.mean_f1:.3f}", ""),
        (
            "difference of log-probability",
            "-" if difference is None else f"{difference:.4f}",
            f"at most {MOST_DIFFERENCE}",
        ),
    ]
    if parity.texts_cut_alike is not None:
        least = f"at least {LEAST_CUT_ALIKE:.0%}"
        rows.append(("texts cut into the same tokens", f"{parity.texts_cut_alike} of {count}", least))
    lines = [f"adapter against export, {count} questions:"]
    lines += [f"  {name:32}{figure:>10}  {bound}".rstrip() for name, figure, bound in rows]
    for pair in [pair for pair in parity.pairs if not pair.identical][:3]:
        where = " (a tie)" if pair.agrees else ""
        lines += [f"  differs{where}: {clean_line(pair.question)}"]
        lines += [
            f"    {who}: {clean_line(text)}"
            for who, text in zip(("adapter", "export"), pair.texts, strict=True)
        ]
    verdict = "pass: the export answers as the adapter does"
    return [*lines, verdict if parity.passed else "FAIL: the export does not answer as the adapter does"]


def _source(runtime: Runtime, name: str) -> Source:
    from finetune.adapters.store import find

    folder = find(name, runtime.library).folder if is_adapter_name(name) else Path(name).expanduser()
    return read_source(folder, offline=runtime.settings.offline)


def _unchecked(source: Source, wish: Wish) -> str | None:
    """Why no questions are asked, if there is a reason."""
    if not wish.check:
        return "--check 0"
    if source.config is not None and not source.config.is_lora:
        return "virtual tokens are copied as they are"
    if wish.form == "gguf" and not is_installed():
        return f"llama.cpp is not here: pip install {PACKAGE}, and export again to another folder"
    return None


def _advance(bar: Bar, count: int, total: int) -> None:
    bar.total = total
    bar.advance(count)


def _prompts(runtime: Runtime, source: Source, wish: Wish) -> list[Prompt]:
    """The questions as this adapter is asked them, with the passages that the library finds."""
    from corpora.prompt import render
    from finetune.tuning.encode import ChatEncoder
    from index.weights import CATALOGUE

    asked = _questions(runtime, wish)
    if not asked:
        return []
    chat = ChatEncoder.of_folder(source.base_folder, source.base_name)
    settings = runtime.settings
    embedded = source.base_name in CATALOGUE and settings.origins["k"] == "default"
    k = EMBEDDED_PASSAGES if embedded else settings.k
    config = json_object(source.base_folder / "config.json")
    limit = min(int(config.get("max_position_embeddings", _CONTEXT)), _CONTEXT) - MAX_NEW_TOKENS
    retriever = _retriever(runtime)
    prompts = []
    for question in asked:
        hits = retriever.search(question, k=k, mode=settings.mode, per_source=settings.per_source or None)
        passages = [hit.passage for hit in hits]
        try:
            messages = render(
                question, passages, count_tokens=chat.count_tokens, limit=limit, examples=source.examples
            ).messages
        except UsageError as error:
            say(f"left out of the check: {clean_line(question)[:60]}: {error.message}")
            continue
        prompts.append(Prompt(question, messages[-1].content, tuple(chat.prompt_ids(messages))))
    return prompts


def _questions(runtime: Runtime, wish: Wish) -> Sequence[str]:
    """Of the user's file, else of the examples of documents that training does not see."""
    if wish.questions is not None:
        found = _of_file(wish.questions)
    else:
        examples = ExampleStore(runtime.library).find("accepted", "test")
        found = [
            example.question
            for example in examples
            if example.kind not in _INSTRUCTIONS and not example.history and not example.input
        ]
    found = list(dict.fromkeys(found))
    if len(found) <= wish.check:
        return found
    places = random.Random(0).sample(range(len(found)), wish.check)  # noqa: S311 - a draw, no secret
    return [found[place] for place in sorted(places)]


def _of_file(path: Path) -> list[str]:
    from finetune.evaluation.questions import read_questions
    from finetune.formats.lines import read_lines

    try:
        with path.open("rb") as stream:
            file = read_questions(read_lines(stream))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(f"{path}: {error.strerror}.", hint="name a JSONL file") from error
    for line in file.bad[:5]:
        say(f"{path}:{line.place}: {line.problem}")
    if not file.questions:
        raise NothingToDo(
            f"{path} holds no questions.",
            hint='one a line: {"id": "1", "question": "…", "answers": []}',
            code="no_input",
        )
    return [question.question for question in file.questions]


def _retriever(runtime: Runtime) -> PassageSource:
    """The retriever that `ask` uses here."""
    from index.retriever import Retriever

    settings = runtime.settings
    reranker = None
    if settings.reranker:
        from index.rerank import CrossEncoder

        reranker = CrossEncoder(settings.reranker, offline=settings.offline)
    encoder = None if settings.mode == "lexical" else runtime.encoder()
    return Retriever(runtime.library, encoder, reranker=reranker)
