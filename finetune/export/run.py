"""One export, from what was tuned to a folder, and the check that it answers alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpora.errors import Conflict
from corpora.prompt import STOPS, render
from finetune.chat_tokens import TokenizerEncoder, end_ids, load_tokenizer, template_of
from finetune.export.folder import check_target, copy_companions, new_folder, stored_bytes
from finetune.export.gguf_file import Precision, gguf_bytes, read_config, write_gguf
from finetune.export.merged import merged_bytes, write_merged
from finetune.export.modelfile import modelfile
from finetune.export.peft_folder import write_peft
from finetune.export.readme import gguf_usage, merged_usage, peft_usage, readme
from finetune.export.source import Source
from finetune.export.turns import read_turns
from finetune.export.vocabulary import adds_start
from finetune.export.weights import TunedWeights

if TYPE_CHECKING:
    from finetune.export.answers import Answer, Written
    from finetune.export.parity import Parity, Prompt

Format = Literal["merged", "gguf", "peft"]

_ANSWER_CONTEXT = 8192
_MARGIN = 16
_COMPANIONS = 8 << 20  # bytes of tokenizer, card and licences, at most


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export. `gguf` is the name of the weights file where that is the format."""

    source: Source
    form: Format
    folder: Path
    files: tuple[str, ...]
    bytes: int
    gguf: str | None = None


def export(
    source: Source,
    form: Format,
    target: Path,
    *,
    precision: Precision = "f16",
    advance: Callable[[int, int], None],
) -> Exported:
    """Write `source` to the new folder `target`. `advance` is told of each tensor, and how many there are.

    Raises UsageError, Conflict (nothing is overwritten; what the format cannot hold), StorageError.
    """
    refuse_impossible(source, form, target)
    if form == "peft":
        return _peft(source, target)
    with TunedWeights(source) as weights:
        total = len(weights.infos)

        def done(count: int) -> None:
            advance(count, total)

        size = merged_bytes(weights.infos) if form == "merged" else gguf_bytes(weights.infos, precision)
        with new_folder(target, size + _COMPANIONS) as building:
            if form == "merged":
                write_merged(source, weights, building, done)
                file, usage = None, merged_usage()
            else:
                file = f"{source.file_name}-{precision}.gguf"
                usage = _gguf(source, weights, building, file, precision, done)
            _finish(source, building, usage)
    return _exported(source, form, target, file)


def refuse_impossible(source: Source, form: Format, target: Path) -> None:
    """Raises UsageError or Conflict for what can be told before any weight is read."""
    check_target(target)
    if form != "peft":
        source.require_mergeable()
    elif source.is_whole:
        raise Conflict(
            f"{source.name} is a whole model, and no adapter.",
            hint=f"assistant export {source.name} --format merged -o FOLDER",
            code="not_an_adapter",
        )
    if form == "gguf":
        read_config(source.weights_folder)


def check(
    exported: Exported, prompts: Sequence[Prompt], *, most: int, advance: Callable[[int], None]
) -> Parity:
    """Answer `prompts` (not empty) as the adapter and as the export, at most `most` tokens each.

    `advance` is told of each answer. Raises Missing without llama.cpp where the export is for it.
    """
    from finetune.export.answers import greedy, load_adapted, load_source, load_whole
    from finetune.export.parity import compare

    source = exported.source
    tokenizer = load_tokenizer(source.base_folder)
    model = load_source(source)
    ends = end_ids(tokenizer, model.config, model.generation_config)
    reference = _answers(greedy(model, ends, most), prompts, advance)
    del model  # before the other one is loaded
    cut_alike = None
    if exported.gguf is not None:
        from finetune.export.llama_cpp import LlamaCpp

        context = max(len(prompt.ids) for prompt in prompts) + most + _MARGIN
        engine = LlamaCpp(exported.folder / exported.gguf, context=context, ends=ends, most=most)
        theirs = _answers(engine.answer, prompts, advance)
        encoder = TokenizerEncoder(tokenizer)
        cut_alike = sum(engine.tokens(one.text) == encoder.encode(one.text, special=False) for one in prompts)
    else:
        folder = exported.folder
        other = load_adapted(source, folder) if exported.form == "peft" else load_whole(folder)
        theirs = _answers(greedy(other, ends, most), prompts, advance)

    def decode(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=True))

    return compare(prompts, reference, theirs, decode, cut_alike)


def _answers(answer: Answer, prompts: Sequence[Prompt], advance: Callable[[int], None]) -> list[Written]:
    written = []
    for prompt in prompts:
        written.append(answer(prompt.ids))
        advance(1)
    return written


def _peft(source: Source, target: Path) -> Exported:
    with new_folder(target, stored_bytes(source.folder) + _COMPANIONS) as building:
        write_peft(source, building)
        _finish(source, building, peft_usage(source))
    return _exported(source, "peft", target, None)


def _gguf(
    source: Source,
    weights: TunedWeights,
    folder: Path,
    file: str,
    precision: Precision,
    advance: Callable[[int], None],
) -> list[str]:
    tokenizer = load_tokenizer(source.base_folder)
    write_gguf(source, weights, tokenizer, folder / file, precision=precision, advance=advance)
    template = template_of(tokenizer, source.base_name)
    config = read_config(source.weights_folder)
    context = min(int(config.max_position_embeddings), _ANSWER_CONTEXT)
    ends = sorted(tokenizer.convert_ids_to_tokens(sorted(end_ids(tokenizer, config))))
    text = modelfile(
        file,
        read_turns(template),
        system=_system(source),
        stops=[*ends, *STOPS],
        context=context,
        start=str(tokenizer.bos_token) if adds_start(tokenizer) else "",
    )
    if text is not None:
        (folder / "Modelfile").write_text(text, "utf-8")
    return gguf_usage(source, file, text is not None, context)


def _system(source: Source) -> str:
    """Our instructions, in the language that the adapter learned."""
    question = "问题" if source.languages == ("zh",) else "question"
    return render(question, (), count_tokens=lambda _: 0, limit=1, examples=False).messages[0].content


def _finish(source: Source, folder: Path, usage: Sequence[str]) -> None:
    copy_companions(source, folder)
    (folder / "README.md").write_text(readme(source, usage), "utf-8")


def _exported(source: Source, form: Format, folder: Path, gguf: str | None) -> Exported:
    files = tuple(sorted(path.name for path in folder.iterdir()))
    return Exported(source, form, folder, files, stored_bytes(folder), gguf)
