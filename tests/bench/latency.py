"""Time of one query, after load, against the size of the library; and what one changed file costs.

    python tests/bench/latency.py [--sizes 1000 10000 100000 1000000] [--data ../shared/data]

Passages are halves of real ones put together, vectors are synthetic (clusters of unit vectors, 384 numbers),
queries are real questions with the vector of a passage made noisy. Query encoding is not included: it is
measured by tests/bench/encoders.py. Writes results/latency.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpora.chunking import Piece
from corpora.records import Extracted
from corpora.store import Library, NewDocument, Stat
from index.cache import open_caches, refresh
from index.retriever import MODES, Retriever

DIMENSION = 384
PER_DOCUMENT = 50
QUERIES = 200
TEXT_SETS = ("cranfield", "cisi", "vaswani", "clapnq", "squad2-retrieval")


class StoredQueries:
    """An encoder whose queries were encoded before."""

    name = "all-minilm-l6-v2"
    fingerprint = "bench"
    dimension = DIMENSION
    max_tokens = 256

    def __init__(self, vectors: dict[str, NDArray[np.float32]]) -> None:
        self._vectors = vectors

    def count_tokens(self, texts: object) -> list[int]:
        raise NotImplementedError

    def encode_passages(self, texts: object, progress: object = None) -> NDArray[np.float32]:
        raise NotImplementedError

    def encode_query(self, text: str) -> NDArray[np.float32]:
        return self._vectors[text]


def rows_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def texts(data: Path, count: int) -> Iterator[str]:
    """`count` passages, each of two halves of real ones."""
    halves = []
    for name in TEXT_SETS:
        for row in rows_of(data / "qa" / f"{name}.docs.jsonl"):
            words = row["text"].split()[:160]
            halves += [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    rng = random.Random(1)
    for _ in range(count):
        yield f"{rng.choice(halves)} {rng.choice(halves)}".strip() or "empty"


def vectors(count: int, start: int = 0) -> NDArray[np.float32]:
    """Rows `start` and on of an endless matrix of unit vectors in 2,000 clusters."""
    centres = np.random.default_rng(0).standard_normal((2_000, DIMENSION), np.float32)
    rng = np.random.default_rng(start + 1)
    found = centres[rng.integers(0, len(centres), count)] + rng.standard_normal(
        (count, DIMENSION), np.float32
    )
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def document(path: str, passages: list[str], rows: NDArray[np.float32]) -> NewDocument:
    pieces, at = [], 0
    for number, passage in enumerate(passages, 1):
        pieces.append(Piece(at, at + len(passage), number, number, None, None))
        at += len(passage) + 1
    text = "\n".join(passages)
    return NewDocument(path, Extracted(text, "txt"), f"{hash(text):064x}", Stat(1, 1), pieces, rows.tobytes())


def filled(folder: Path, data: Path, size: int) -> Library:
    """A library of `size` passages."""
    library = Library.create(folder / ".assistant")
    facts = (("encoder", StoredQueries.name), ("encoder_fingerprint", "bench"), ("dimension", str(DIMENSION)))
    with library.write() as writer:
        for key, value in facts:
            writer.set_manifest(key, value)
    source = texts(data, size)
    for start in range(0, size, 10_000):
        rows = vectors(min(10_000, size - start), start).astype("<f4")
        with library.write() as writer:
            for at in range(0, len(rows), PER_DOCUMENT):
                some = rows[at : at + PER_DOCUMENT]
                passages = [next(source) for _ in range(len(some))]
                writer.put_document(document(f"d/{start + at}.txt", passages, some))
    return library


def noisy(vector: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    found = vector + 0.05 * np.random.default_rng(seed).standard_normal(len(vector)).astype(np.float32)
    return found / np.linalg.norm(found)


def questions(data: Path, size: int) -> dict[str, NDArray[np.float32]]:
    asked = [
        row["question"] for name in TEXT_SETS for row in rows_of(data / "qa" / f"{name}.questions.jsonl")
    ]
    chosen = random.Random(2).sample(sorted(set(asked)), QUERIES)
    near = vectors(min(10_000, size))
    return {question: noisy(near[at % len(near)], at) for at, question in enumerate(chosen)}


def milliseconds(work: Callable[[str], object], queries: list[str]) -> dict[str, float]:
    """p50 and p95 over all queries, after a few to warm up."""
    for query in queries[:5]:
        work(query)
    times = []
    for query in queries:
        begun = time.perf_counter()
        work(query)
        times.append(1e3 * (time.perf_counter() - begun))
    return {"p50_ms": round(float(np.median(times)), 2), "p95_ms": round(float(np.quantile(times, 0.95)), 2)}


def recall_at_10(library: Library, asked: dict[str, NDArray[np.float32]], size: int) -> float:
    """Of the vector index against all float32 vectors."""
    queries = np.stack(list(asked.values())[:100])
    best = np.full((len(queries), 10), -2.0, np.float32)
    rowids = np.zeros((len(queries), 10), np.int64)
    for start in range(0, size, 10_000):
        block = vectors(min(10_000, size - start), start)
        scores = np.concatenate([best, queries @ block.T], axis=1)
        ids = np.concatenate(
            [rowids, np.tile(np.arange(start + 1, start + 1 + len(block)), (len(queries), 1))], axis=1
        )
        order = np.argsort(-scores, axis=1)[:, :10]
        best, rowids = np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1)
    index = open_caches(library).dense()
    found = [set(index.search(query, 100)[0].tolist()) for query in queries]
    return float(
        np.mean([len(set(gold.tolist()) & hits) / 10 for gold, hits in zip(rowids, found, strict=True)])
    )


def measured(data: Path, size: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="latency-") as folder:
        library = filled(Path(folder), data, size)
        begun = time.perf_counter()
        refresh(library)
        built = time.perf_counter() - begun
        asked = questions(data, size)
        retriever = Retriever(library, StoredQueries(asked))
        begun = time.perf_counter()
        retriever.search(next(iter(asked)), 10)
        result: dict[str, object] = {
            "passages": size,
            "build_s": round(built, 2),
            "load_s": round(time.perf_counter() - begun, 3),
            "recall@10": round(recall_at_10(library, asked, size), 4),
        }
        for mode in MODES:
            result[mode] = milliseconds(
                lambda query, mode=mode: retriever.search(query, 10, mode), list(asked)
            )  # type: ignore[misc]
        result["filtered"] = milliseconds(
            lambda query: retriever.search(query, 10, glob="d/*0.txt"), list(asked)
        )
        result["one_changed_file_s"] = round(changed_file(library, retriever, next(iter(asked))), 3)
        library.close()
    return result


def changed_file(library: Library, retriever: Retriever, question: str) -> float:
    """From the commit of a changed document to the first answer that knows it, caches written."""
    begun = time.perf_counter()
    with library.write() as writer:
        passages = [f"changed passage {number} quokka" for number in range(5)]
        writer.put_document(document("d/0.txt", passages, vectors(5).astype("<f4")))
    refresh(library)
    hits = retriever.search("quokka", 5, "lexical")
    retriever.search(question, 5, "dense")
    taken = time.perf_counter() - begun
    assert {hit.passage.path for hit in hits} == {"d/0.txt"}
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    repository = Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=Path, default=repository.parent / "shared" / "data")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    arguments = parser.parse_args()
    results = []
    for size in arguments.sizes:
        results.append(measured(arguments.data, size))
        print(json.dumps(results[-1]), flush=True)
    target = Path(__file__).parent / "results" / "latency.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
