"""Ingest throughput against the obvious pipeline, same files, same encoder, same run.

    python tests/bench/ingest.py FOLDER [FOLDER...] [--rounds 3] [--limit N]

The obvious pipeline is what a tutorial builds: DirectoryLoader, TextLoader, RecursiveCharacterTextSplitter
(1000 characters, 200 overlap), HuggingFaceEmbeddings with its defaults, FAISS.from_documents. It needs
`pip install langchain-community langchain-huggingface`. Both sides get the text files of the folders only,
because the peer reads no other kind; ours runs the whole of `assistant ingest` (sandboxed readers, SQLite
with fsync, both indexes). Rounds alternate; medians and their ratio are reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import tempfile
import time
import warnings
from pathlib import Path

TEXT = (".md", ".rst", ".txt")


def gather(folders: list[Path], limit: int | None, into: Path) -> int:
    """Copy the text files, renamed so that none collides; returns their total size in characters."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in TEXT)
    total = 0
    for number, path in enumerate(files[:limit]):
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        (into / f"{number:05d}{path.suffix}").write_text(text, "utf-8")
        total += len(text)
    return total


def ours(folder: Path, encoder: str) -> dict[str, float]:
    from corpora.store import Library
    from index.encoders import choose_encoder, load_encoder
    from index.ingest import IngestOptions, ingest

    loaded = load_encoder(encoder)
    loaded.encode_passages(["warm up"])  # both sides are timed after load
    with tempfile.TemporaryDirectory() as place:
        options = IngestOptions(choose=choose_encoder, load=lambda name: loaded, encoder=encoder)
        with Library.create(Path(place) / ".assistant") as library:
            began = time.perf_counter()
            report = ingest(library, [folder], options)
            seconds = time.perf_counter() - began
    share = report.stages["encode"] / seconds
    return {"passages": report.passages, "seconds": seconds, "encoder_share": share, **report.stages}


def obvious(folder: Path, weights: Path) -> dict[str, float]:
    warnings.filterwarnings("ignore")
    from langchain_community.document_loaders import DirectoryLoader, TextLoader
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    embeddings = HuggingFaceEmbeddings(model_name=str(weights))
    embeddings.embed_query("warm up")
    began = time.perf_counter()
    documents = DirectoryLoader(str(folder), loader_cls=TextLoader).load()
    chunks = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200).split_documents(documents)
    store = FAISS.from_documents(chunks, embeddings)
    with tempfile.TemporaryDirectory() as place:
        store.save_local(place)
    return {"passages": len(chunks), "seconds": time.perf_counter() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--encoder", default="all-minilm-l6-v2")
    arguments = parser.parse_args()
    from index.weights import model_folder

    weights = model_folder(arguments.encoder, offline=False)
    place = Path(tempfile.mkdtemp())
    try:
        characters = gather(arguments.folders, arguments.limit, place)
        runs: dict[str, list[dict[str, float]]] = {"assistant": [], "langchain": []}
        for _ in range(arguments.rounds):
            runs["assistant"].append(ours(place, arguments.encoder))
            runs["langchain"].append(obvious(place, weights))
    finally:
        shutil.rmtree(place)
    report(runs, characters, arguments.encoder)


def report(runs: dict[str, list[dict[str, float]]], characters: int, encoder: str) -> None:
    print(f"{'pipeline':<12}{'passages':>9}{'seconds':>9}{'passages/s':>12}{'kchar/s':>9}")
    rates = {}
    for name, results in runs.items():
        seconds = statistics.median(result["seconds"] for result in results)
        passages = results[0]["passages"]
        rates[name] = (passages / seconds, characters / seconds)
        print(f"{name:<12}{passages:>9.0f}{seconds:>9.1f}{rates[name][0]:>12.1f}{rates[name][1] / 1e3:>9.1f}")
    ratio = rates["assistant"][0] / rates["langchain"][0]
    text_ratio = rates["assistant"][1] / rates["langchain"][1]
    share = statistics.median(result["encoder_share"] for result in runs["assistant"])
    print(f"ratio: {ratio:.2f}x passages/s, {text_ratio:.2f}x source text/s; inside the encoder: {share:.0%}")
    path = Path(__file__).parent / "results" / "ingest.json"
    path.parent.mkdir(exist_ok=True)
    summary = {
        "encoder": encoder,
        "characters": characters,
        "processor": platform.processor() or platform.machine(),
        "runs": runs,
        "passages_per_second_ratio": round(ratio, 3),
        "source_text_per_second_ratio": round(text_ratio, 3),
        "encoder_share": round(share, 3),
    }
    path.write_text(json.dumps(summary, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
