"""Any other encoder through sentence-transformers, from a folder that holds safetensors. Its only door.

Code from a model folder is never run: `trust_remote_code` is False, and only safetensors are read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import UsageError
from index.encoders.tokens import refuse_longer
from index.vector_math import settle_vector_math
from index.weights.cache import file_sha256

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

# The E5 models of 2022-2024 want prefixes that their configurations do not name.
_E5 = re.compile(r"(^|[/_-])e5-(small|base|large)(-v2)?/?$", re.IGNORECASE)
_E5_PROMPTS = {"query": "query: ", "document": "passage: "}
_AT_ONCE = 512  # texts between two reports of progress
_DEEPEST = 512  # tokens, where a model names no limit of its own
_ASK_NO_LIMIT = 1 << 20  # transformers writes 10^30 for "none"
_BLOB = re.compile(r"[0-9a-f]{64}")


class SentenceEncoder:
    """An encoder of sentence-transformers; see `index.encoder.Encoder`. Loaded at first use."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        size = self._model.get_embedding_dimension()
        if size is None:
            raise UsageError(f"{self.name} makes no vectors: it is no encoder.", hint="assistant models list")
        return size

    @property
    def max_tokens(self) -> int:
        """The limit in its configuration, special tokens and prefix included."""
        limit = self._model.max_seq_length
        return int(limit) if limit and limit < _ASK_NO_LIMIT else _DEEPEST

    @cached_property
    def fingerprint(self) -> str:
        """Of the weights, the modules and their settings (pooling, normalisation), and the prefixes."""
        digest = hashlib.sha256(json.dumps(sorted(self._prompts.items())).encode())
        files = [*self._folder.rglob("*.safetensors"), *self._folder.rglob("*.json")]
        for path in sorted(files, key=lambda file: file.relative_to(self._folder).as_posix()):
            digest.update(f"\0{path.relative_to(self._folder).as_posix()}\0{_content_hash(path)}".encode())
        return digest.hexdigest()[:16]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as a passage, special tokens and prefix included."""
        prefixed = [self._prompts["document"] + text for text in texts]
        encoded = self._model.tokenizer(prefixed, truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def encode_passages(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Unit rows, shape (len(texts), dimension); UsageError if a text is over `max_tokens`."""
        import numpy as np

        lengths = self.count_tokens(texts)
        refuse_longer(lengths, self.max_tokens, self.name)
        order = sorted(range(len(texts)), key=lambda place: -lengths[place])
        rows = np.empty((len(texts), self.dimension), np.float32)
        for at in range(0, len(order), _AT_ONCE):
            places = order[at : at + _AT_ONCE]
            rows[places] = self._encode([texts[place] for place in places], "document")
            if progress is not None:
                progress(at + len(places))
        return rows

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As `encode_query`, for many at once; shape (len(texts), dimension)."""
        return self._encode(texts, "query")

    def encode_query(self, text: str) -> NDArray[np.float32]:
        """One unit vector. What is over `max_tokens` of a question is not seen by these models."""
        row: NDArray[np.float32] = self.encode_queries([text])[0]
        return row

    def _encode(self, texts: Sequence[str], kind: str) -> NDArray[np.float32]:
        import numpy as np

        rows = self._model.encode(
            list(texts),
            prompt=self._prompts[kind] or None,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(rows, np.float32)

    @cached_property
    def _prompts(self) -> dict[str, str]:
        try:
            stored = json.loads(
                (self._folder / "config_sentence_transformers.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            stored = {}
        prompts = stored.get("prompts") if isinstance(stored, dict) else None
        return _query_and_document(prompts or (_E5_PROMPTS if _E5.search(self.name) else {}))

    @cached_property
    def _model(self) -> SentenceTransformer:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        settle_vector_math()
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        cuda = torch.cuda.is_available()
        half = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float16
        weights: dict[str, Any] = {"use_safetensors": True, "dtype": half if cuda else torch.float32}
        try:
            return SentenceTransformer(
                str(self._folder),
                device="cuda" if cuda else "cpu",
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs=weights,
            )
        except (ValueError, OSError, KeyError, ImportError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"{self.name} cannot be loaded as an encoder: {reason}", hint="assistant models list"
            ) from error


def _query_and_document(prompts: Mapping[str, str]) -> dict[str, str]:
    document = next((prompts[name] for name in ("document", "passage", "corpus") if name in prompts), "")
    return {"query": prompts.get("query", ""), "document": document}


def _content_hash(path: Path) -> str:
    """sha256 of a file; the hub's cache names its large files by it."""
    target = path.resolve()
    return target.name if _BLOB.fullmatch(target.name) else file_sha256(target)
