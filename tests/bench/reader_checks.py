"""How many human questions fall to each check? `python tests/bench/reader_checks.py [--sets squad2 cmrc]`.

The articles are ingested as a user would, and each answerable human question about them goes through the
checks with the sentence that holds its answer as its quote, as if a method had written it. What falls is a
false reject, but for questions that people wrote badly ("When was he elected?") or asked twice. No language
model is asked. Also prints how many pairs of questions about one paragraph, which have other answers, are
near duplicates by cosine, before and after `two_questions` is asked.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from corpora.prompt import Language
from corpora.records import Passage
from corpora.store import Library
from finetune.candidates import Candidate, Claimed
from finetune.checks import Checks
from finetune.checks.locating import find_quote
from finetune.checks.seen import COSINE, _read, two_questions
from index.encoder import Encoder
from index.encoders import load_encoder
from index.evidence.sentences import sentences
from index.ingest import IngestOptions, ingest
from index.retriever import Retriever

HERE = Path(__file__).resolve()
SETS: dict[str, tuple[str, str, Language]] = {
    "squad2": ("articles-en", "all-minilm-l6-v2", "en"),
    "cmrc": ("articles-zh", "multilingual-e5-small", "zh"),
}
Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def candidate(row: Row, text: str, passages: list[Passage], language: Language) -> Candidate | None:
    """The human pair with the sentence around its answer, in the passage that holds this sentence."""
    answer = row["answers"][0]
    at = text.find(answer)
    held = [span for span in sentences(text) if span.start <= at and at + len(answer) <= span.end]
    for span in held[:1] if at >= 0 else []:
        quote = text[span.start : span.end]
        for passage in passages:
            if find_quote(quote, passage.text):
                claimed = (Claimed(passage, quote),)
                return Candidate("import", "span", language, row["question"], answer, claimed, "human", "1")
    return None


def measure(folder: Path, name: str, limit: int, work: Path) -> None:
    articles, encoder_name, language = SETS[name]
    encoder = load_encoder(encoder_name)
    docs = {row["doc_id"]: row for row in read(folder / "qa" / f"{name}.docs.jsonl")}
    rows = [
        row for row in read(folder / "qa" / f"{name}.questions.jsonl") if row["answers"] and row["question"]
    ]
    rows = rows[:: max(1, len(rows) // limit)]
    options = IngestOptions(choose=lambda sample: encoder_name, load=lambda name: encoder)
    with Library.create(work / name) as library:
        ingest(library, [folder / articles], options)
        titles = {Path(document.path).stem: document.id for document in library.documents()}
        checks = Checks(
            Retriever(library, encoder),
            encoder,
            hashes=lambda: {document.id: document.sha256 for document in library.documents()},
            splits=dict,
        )
        made = []
        for row in rows:
            doc = docs[row["doc_ids"][0]]
            known = titles.get(doc["title"].replace("/", "_").replace(" ", "_"))
            passages = library.passages_of(known) if known else []
            made.append(candidate(row, doc["text"], passages, language))
        seen = checks.seen([])
        checked = [seen.admit(one, "train") for one in checks.examine([one for one in made if one])]
    reasons = Counter(one.reason or "accepted" for one in checked)
    shares = ", ".join(f"{reason} {n / len(checked):.2%}" for reason, n in reasons.most_common())
    print(f"{name}: {len(checked)} of {len(rows)} questions: {shares}", flush=True)
    for reason in sorted(set(reasons) - {"accepted"}):
        fallen = [f"{one.candidate.question} ({one.detail})" for one in checked if one.reason == reason]
        print(*(f"    {reason}: {text}" for text in fallen[:6]), sep="\n")
    near_pairs(name, rows, encoder)


def near_pairs(name: str, rows: list[Row], encoder: Encoder) -> None:
    by_paragraph = defaultdict(list)
    for row in rows:
        asked = _read(row["question"], row["answers"][0], "train")
        by_paragraph[row["doc_ids"][0]].append((asked, encoder.encode_query(asked.text)))
    pairs = [pair for asked in by_paragraph.values() for pair in itertools.combinations(asked, 2)]
    pairs = [(one, other) for one, other in pairs if one[0].answer != other[0].answer]
    for threshold in (0.88, 0.90, 0.92, 0.94, 0.96):
        near = [(one[0], other[0]) for one, other in pairs if float(one[1] @ other[1]) >= threshold]
        fallen = sum(not two_questions(one, other) for one, other in near)
        shipped = " (shipped)" if COSINE[encoder.name] == threshold else ""
        print(
            f"    cosine {threshold:.2f}{shipped}: {len(near) / len(pairs):.2%} of {len(pairs)} pairs,"
            f" {fallen / len(pairs):.2%} after two_questions"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--limit", type=int, default=10**9, help="questions of each set, evenly drawn")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for name in given.sets:
            measure(given.shared, name, given.limit, Path(work))


if __name__ == "__main__":
    main()
