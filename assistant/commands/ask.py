"""`assistant ask QUESTION`: one short answer with checked citations, or a plain refusal."""

from __future__ import annotations

from typing import Annotated

import typer

from assistant.commands.options import (
    AdapterOption,
    BaseUrlOption,
    ExtractiveOption,
    JsonOption,
    KOption,
    LibraryOption,
    ModelOption,
    NoRetrievalOption,
    OfflineOption,
    TypeOption,
    WithinOption,
    typed,
)
from corpora.errors import UsageError


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question; - reads it from stdin.")],
    k: KOption = None,
    within: WithinOption = None,
    type_: TypeOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    base_url: BaseUrlOption = None,
    no_retrieval: NoRetrievalOption = False,
    extractive: ExtractiveOption = False,
    library: LibraryOption = None,
    json: JsonOption = False,
    offline: OfflineOption = False,
) -> None:
    """Answer a question from the documents, with citations."""
    from assistant.answer.build import build_engine
    from assistant.answer.rows import answer_row
    from assistant.answer.screen import AnswerScreen
    from assistant.output import emit_json
    from assistant.runtime import opened

    words = _words(question)
    if no_retrieval and extractive:
        raise UsageError("--no-retrieval and --extractive exclude each other.")
    flags = {"k": k, "model": model, "adapter": adapter, "base_url": base_url, "offline": offline or None}
    with opened(library, flags) as runtime:
        engine = build_engine(runtime)
        screen = AnswerScreen(runtime.library.root, links=runtime.settings.links)
        answer = engine.answer(
            words,
            glob=within,
            kind=type_,
            retrieval=not no_retrieval,
            extractive=extractive,
            show=None if json else screen.show,
        )
        if json:
            emit_json(answer_row(answer))
        else:
            screen.finish(answer)


def _words(question: str) -> str:
    import sys

    words = sys.stdin.buffer.read().decode("utf-8", "replace") if question == "-" else typed(question)
    if not words.strip():
        raise UsageError("Empty question.", hint='assistant ask "your question"')
    return words
