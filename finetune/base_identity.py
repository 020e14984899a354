"""Which base model an adapter belongs to: a fingerprint of its weights, and a hash of its chat template."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from corpora.chat_template import ChatTemplate
from corpora.errors import Conflict
from finetune.strict_json import read_json
from index.weights import CATALOGUE

_LONGEST_HEADER = 100 << 20  # bytes; the format's own limit
_LARGEST_SETTINGS = 64 << 20  # bytes; some models list all added tokens there
_SAMPLES = 3  # places of a tensor that are read; another training changes nearly every weight
_SAMPLE_BYTES = 2048


@dataclass(frozen=True, slots=True)
class BaseIdentity:
    """A base model as it is on this machine: what an adapter's card is compared with.

    `name` is what the user calls it; `fingerprint` and `template_sha256` are those of the functions here.
    """

    name: str
    fingerprint: str
    template_sha256: str


def identity_of(name: str, folder: Path, *, expected: str | None = None) -> BaseIdentity:
    """The identity of the model in `folder`, which the user calls `name`. Loads its tokenizer, no weights.

    That takes seconds, and is left out where the model's files have the template hash `expected` already.
    Raises Conflict for a folder that holds no model with a chat template.
    """
    if expected is not None and _template_as_stored(folder) == expected:
        return BaseIdentity(base_name(name), base_fingerprint(folder), expected)
    from finetune.chat_tokens import load_tokenizer, template_of

    template = template_of(load_tokenizer(folder), name)
    return BaseIdentity(base_name(name), base_fingerprint(folder), template_sha256(template))


def base_name(name: str) -> str:
    """What a base is called in cards: a folder by its real path, any other model as the user calls it."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if name not in CATALOGUE and folder.is_dir() else name


def base_fingerprint(folder: Path) -> str:
    """Of the weights in `folder`: names, shapes and precision of all tensors and a sample of their bytes.

    The same weights have the same fingerprint (hex, 64 digits) however they are spread over files. Reads a
    few megabytes, of a 7B model too. Raises Conflict where there are no safetensors weights.
    """
    lines = [
        json.dumps([name, tensor["dtype"], tensor["shape"], _sampled(file, tensor)])
        for file, name, tensor in _tensors(folder)
    ]
    if not lines:
        raise Conflict(f"There are no safetensors weights in {folder}.", code="model_unusable")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors (packed ones left out) in the safetensors files of `folder`, by name."""
    return {
        name: tuple(tensor["shape"])
        for _, name, tensor in _tensors(folder)
        if tensor["dtype"] in ("F32", "F16", "BF16")
    }


def template_sha256(template: ChatTemplate) -> str:
    """Of the template's source and of the special strings that it writes (hex, 64 digits)."""
    strings = sorted(template.special_strings.items())
    return hashlib.sha256(json.dumps([template.source, strings]).encode()).hexdigest()


def _template_as_stored(folder: Path) -> str | None:
    """`template_sha256` by the files of the model alone; None where they are not of the usual kind."""
    try:
        settings = read_json(folder / "tokenizer_config.json", limit=_LARGEST_SETTINGS)
        source = folder / "chat_template.jinja"
        template = source.read_text("utf-8") if source.is_file() else settings["chat_template"]
        strings = {name: _content(value) for name, value in settings.items() if name.endswith("_token")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    known = {name: value for name, value in strings.items() if value is not None}
    return template_sha256(ChatTemplate(template, known)) if isinstance(template, str) else None


def _content(token: object) -> str | None:
    """The string of a special token, which stands there by itself or among its properties."""
    value = token.get("content") if isinstance(token, dict) else token
    return value if isinstance(value, str) else None


def _tensors(folder: Path) -> Iterator[tuple[BinaryIO, str, dict[str, Any]]]:
    """Every tensor with the file that it is in; offsets are from the beginning of that file."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > _LONGEST_HEADER:
                    raise ValueError("its header is too long")
                header: dict[str, dict[str, Any]] = json.loads(file.read(length))
                for name, tensor in header.items():
                    if name != "__metadata__":
                        offsets = [8 + length + int(offset) for offset in tensor["data_offsets"]]
                        yield file, name, {**tensor, "data_offsets": offsets}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Conflict(f"{path} is no sound safetensors file: {error}.", code="model_unusable") from error


def _sampled(file: BinaryIO, tensor: dict[str, Any]) -> str:
    start, end = tensor["data_offsets"]
    digest = hashlib.sha256()
    for n in range(_SAMPLES):
        file.seek(start + max(0, end - start - _SAMPLE_BYTES) * n // (_SAMPLES - 1))
        digest.update(file.read(max(0, min(_SAMPLE_BYTES, end - start))))
    return digest.hexdigest()
