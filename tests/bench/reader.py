"""Can a model tell a right answer from a wrong one? `python tests/bench/reader.py [--model M] [--adapter A]`.

Prints, for each scorer, the area under the ROC curve on the calibration pairs (`corpora/calibration`), of its
scores and of its verdicts (which decides whether it may reject), the threshold that separates them best, and
what share of kept and swapped answers the shipped threshold accepts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

from assistant.chat_models import load_chat_model
from assistant.chat_models.local import LocalChatModel
from assistant.reading_back import scorers
from corpora.prompt import Language
from corpora.records import Message
from finetune.chat_teacher import teacher_name
from finetune.checks.reading import PairScorer, measured_scores, record_name, verdicts
from finetune.measures import area_under_roc, best_threshold
from finetune.teacher import Ask, Reply

_AT_ONCE = 8
RECORDS = Path(__file__).resolve().parents[2] / "finetune" / "checks" / "measured.json"


class Direct:
    """A teacher and a likelihood over a local model, without a cache."""

    def __init__(self, model: LocalChatModel) -> None:
        self.name, self.fingerprint, self._model = teacher_name(model), model.fingerprint, model

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        order = sorted(range(len(asks)), key=lambda at: self._model.count_tokens(asks[at].messages))
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), _AT_ONCE):
            places = order[start : start + _AT_ONCE]
            replies |= zip(places, self._model.generate_batch([asks[at] for at in places]), strict=True)
        return [replies[at] for at in range(len(asks))]

    def reply_log_likelihoods(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        return self._model.reply_log_likelihoods(pairs)


def write(model: str, scorer: PairScorer, language: Language, auc: float, n: int) -> None:
    known = json.loads(RECORDS.read_text("utf-8"))
    name = record_name(scorer, language)
    rows = [row for row in known if (row["model"], row["check"]) != (model, name)]
    rows.append({"model": model, "reader": scorer.fingerprint, "check": name, "auc": round(auc, 4), "n": n})
    RECORDS.write_text("[\n" + ",\n".join(" " + json.dumps(row) for row in rows) + "\n]\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--adapter", help="a shipped one; `generate` lets it read once it has records")
    parser.add_argument("--language", nargs="+", default=["en", "zh"], choices=["en", "zh"])
    parser.add_argument("--scorer", nargs="+", default=["round_trip", "likelihood", "judge"])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--write", action="store_true", help="keep the records in the package")
    given = parser.parse_args()
    model = load_chat_model(given.model, adapter=given.adapter)
    assert isinstance(model, LocalChatModel)
    direct = Direct(model)
    asked: list[PairScorer] = scorers(model, direct, direct)
    for language in given.language:
        for scorer in asked:
            if scorer.score not in given.scorer:
                continue
            began = time.perf_counter()
            good, bad = measured_scores(scorer, language, given.limit)
            seconds = (time.perf_counter() - began) / (2 * max(len(good), 1))
            right, wrong = verdicts(scorer, good), verdicts(scorer, bad)
            kept, passed = (sum(some) / max(len(some), 1) for some in (right, wrong))
            if given.write:
                write(direct.name, scorer, language, area_under_roc(right, wrong), len(good))
            auc, best = area_under_roc(good, bad), best_threshold(good, bad)
            print(
                f"{direct.name} {language} {scorer.score:10} n {len(good):3}  AUC {auc:.3f}, of verdicts"
                f" {area_under_roc(right, wrong):.3f}  best threshold"
                f" {best:.3f}  at {scorer.threshold:.2f}: kept {kept:.2f}, swapped {passed:.2f}"
                f"  {seconds:.2f} s a pair",
                flush=True,
            )


if __name__ == "__main__":
    main()
