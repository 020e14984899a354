"""One answer against its gold answers.

Answers are compared as SQuAD 2.0 does it (`finetune.measures`): the best of the gold answers counts; a
question that must be refused scores 1 where it is refused and 0 where it is not, and a refused question that
has an answer scores 0.

A citation is right when a gold answer stands, word for word, in the passage that it points into; its quote is
right when a gold answer stands in the quote itself. Only citations of questions that have an answer count,
since elsewhere there is nothing that one could support.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from corpora.prompt import REFUSAL
from corpora.records import Answer
from finetune.evaluation.questions import EvalQuestion
from finetune.measures import answer_tokens, best, em, f1

_MARKER = re.compile(r"\s*[\[【]\s?\d{1,3}(?:\s?[,，、;]\s?\d{1,3})*\s?[\]】]")
_WORD = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+")
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Score:
    """What one answer is worth.

    `citations` are the verified ones of a question that has an answer; `right_passages` and `right_quotes`
    of them are right. `found`: whether retrieval brought a passage with a gold answer, or of the gold
    document where the row names one; None where that cannot be told. `log_likelihood` is the mean natural
    log of the probability of a token of the first gold answer (None where the model cannot say).
    """

    id: str | int
    must_refuse: bool
    refused: bool
    em: float
    f1: float
    citations: int
    right_passages: int
    right_quotes: int
    found: bool | None
    seconds: float
    log_likelihood: float | None = None


def score(
    question: EvalQuestion, answer: Answer, *, retrieval: bool = True, log_likelihood: float | None = None
) -> Score:
    """The score of `answer`; without `retrieval` nothing is said of what was found."""
    text = "" if answer.refused else bare(answer.answer or "")
    refused = answer.refused or says_refusal(text)
    if question.must_refuse:
        exact = overlap = float(refused)
    else:
        exact, overlap = (0.0 if refused else best(one, text, question.answers) for one in (em, f1))
    passages = {hit.passage.id: hit.passage.text for hit in answer.passages}
    cited = [] if question.must_refuse or refused else [one for one in answer.citations if one.verified]
    quotes = [holds_answer(one.quote, question.answers) for one in cited]
    around = [holds_answer(passages.get(one.passage_id, ""), question.answers) for one in cited]
    return Score(
        id=question.id,
        must_refuse=question.must_refuse,
        refused=refused,
        em=exact,
        f1=overlap,
        citations=len(cited),
        right_passages=sum(quote or passage for quote, passage in zip(quotes, around, strict=True)),
        right_quotes=sum(quotes),
        found=_found(question, answer) if retrieval else None,
        seconds=answer.seconds.total,
        log_likelihood=log_likelihood,
    )


def bare(text: str) -> str:
    """An answer without its markers and quotation marks."""
    return " ".join(_MARKER.sub("", text).replace("“", " ").replace("”", " ").split())


def says_refusal(text: str) -> bool:
    """Whether a text begins with the sentence that refuses: a model says it also where no engine looks."""
    said = "".join(answer_tokens(text))
    return any(said.startswith("".join(answer_tokens(sentence))) for sentence in REFUSAL.values())


def holds_answer(text: str, answers: Sequence[str]) -> bool:
    """Whether one of `answers` stands in `text`, as whole words in their order (characters in Chinese).

    Case, width, punctuation and articles make no difference; as in the recall of Karpukhin et al. 2020.
    """
    there = f" {' '.join(_words(text))} "
    return any(f" {' '.join(words)} " in there for words in map(_words, answers) if words)


def _words(text: str) -> list[str]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return [word for word in words if word not in _ARTICLES] or words


def _found(question: EvalQuestion, answer: Answer) -> bool | None:
    if question.must_refuse:
        return None
    if question.path is not None:
        return any(hit.passage.path == question.path for hit in answer.passages)
    return any(holds_answer(hit.passage.text, question.answers) for hit in answer.passages)
