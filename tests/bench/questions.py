"""Prints rule-made questions for reading, and how many there are: `questions.py TEXT… [--show N] [--seed S]`.

TEXT is a folder of text or Markdown files, or a JSONL file of rows with "title" and "text"; `--library`
reads the passages of a library instead. `--human FILE` prints human questions beside them (squad2).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from corpora.records import Passage
from corpora.store import Library
from finetune.answer_first.writer import AnswerFirst
from finetune.candidates import Candidate

PER_PASSAGE = 3  # the best of each passage are drawn from, as `generate` takes them by default


def from_texts(path: Path) -> Iterator[Passage]:
    """Passages of about 1,000 characters, cut at the ends of paragraphs and sentences."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.suffix in (".md", ".txt")]
        rows = [
            (str(file.relative_to(path)), file.stem.replace("_", " "), file.read_text("utf-8"))
            for file in files
        ]
    else:
        read = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        rows = [
            (f"{at}.md", row.get("title", "").replace("_", " "), row["text"]) for at, row in enumerate(read)
        ]
    for name, title, text in rows:
        for ordinal, (start, end) in enumerate(pieces(text)):
            yield Passage(
                0,
                f"{name}:{start}",
                name,
                name,
                "md",
                ordinal,
                start,
                end,
                1,
                1,
                None,
                title,
                text[start:end],
            )


def pieces(text: str, size: int = 1000) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = min(len(text), start + size)
        if end < len(text):
            cut = max(
                text.rfind("\n\n", start, end),
                text.rfind(". ", start, end) + 1,
                text.rfind("。", start, end) + 1,
            )
            end = cut if cut > start + size // 3 else end
        yield start, end
        start = end


def show(drawn: list[Candidate]) -> None:
    for one in drawn:
        quote = " ".join(one.claimed[0].text.split())
        print(f"[{one.order:.2f}] {one.question}\n    {one.answer!r}")
        print(f"    {one.claimed[0].passage.path}: {quote[:240]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, nargs="*")
    parser.add_argument("--library", type=Path)
    parser.add_argument("--human", type=Path)
    parser.add_argument("--show", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    passages = [passage for path in given.texts for passage in from_texts(path)]
    if given.library:
        library = Library.open(given.library, named=True)
        passages += [one for document in library.documents() for one in library.passages_of(document.id)]
    began = time.perf_counter()
    written = AnswerFirst().write(passages)
    seconds = time.perf_counter() - began
    best = [one for of_passage in written for one in of_passage[:PER_PASSAGE]]
    show(random.Random(given.seed).sample(best, min(given.show, len(best))))
    if given.human:
        human = [json.loads(line)["question"] for line in given.human.read_text("utf-8").splitlines()]
        print("human:", *random.Random(given.seed).sample(human, min(given.show, len(human))), sep="\n    ")
    counts = Counter(min(len(of_passage), PER_PASSAGE) for of_passage in written)
    opening = Counter(one.question.split()[0].casefold() for one in best)
    print(
        f"{len(passages)} passages, {sum(map(len, written))} questions, {len(best)} of the best {PER_PASSAGE}"
    )
    print(
        "passages by questions:", dict(sorted(counts.items())), "first words:", dict(opening.most_common(12))
    )
    print(f"{seconds:.1f} s, {len(passages) / max(seconds, 1e-9):.0f} passages a second")


if __name__ == "__main__":
    main()
