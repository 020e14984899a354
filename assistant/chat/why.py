"""What `/why` tells beside the passages: where the prompt's tokens went, the nearest training examples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from assistant.answer.extractive import rank_sentences, sentence_alone
from assistant.chat.records import Turn
from corpora.prompt import render, render_closed_book
from corpora.store import ExampleStore, Library
from index.evidence.words import question_words

if TYPE_CHECKING:
    from assistant.answer.engine import ModelSource
    from corpora.records import Message

_NEAREST = 5
_NO_LIMIT = 1 << 30


def budget(turn: Turn, model: ModelSource) -> list[tuple[str, int]]:
    """The parts of the prompt in order, each with its tokens, as `model` would be asked now.

    Empty where no language model was asked.
    """
    from assistant.chat_models.talk import count_tokens

    answer = turn.answer
    if answer is None or not answer.usage.prompt_tokens:
        return []
    chat = model.chat

    def count(messages: Sequence[Message]) -> int:
        return count_tokens(chat, messages)

    if not turn.retrieval:
        prompt = render_closed_book(turn.searched, count_tokens=count, limit=_NO_LIMIT)
        return [("question and instructions", prompt.tokens)]
    passages = [hit.passage for hit in answer.passages]
    names = [f"[{number}] {passage.path}" for number, passage in enumerate(passages, 1)]
    if model.reads_one_sentence and passages:
        best = rank_sentences(turn.searched, passages)[0]
        passages = [sentence_alone(passages[best.marker - 1], best.span)]
        names = [f"{names[best.marker - 1]}, its best sentence"]
    else:
        passages = passages[: len(passages) - answer.passages_left_out]
    sizes = [
        render(question, shown, count_tokens=count, limit=_NO_LIMIT, examples=model.examples).tokens
        for question, shown in (
            ("?", []),
            *((turn.searched, passages[:number]) for number in range(len(passages) + 1)),
        )
    ]
    parts = ["instructions", "question", *names[: len(passages)]]
    own = [sizes[0], *(after - before for before, after in pairwise(sizes))]
    return list(zip(parts, own, strict=True))


def nearest_examples(question: str, library: Library) -> list[dict[str, Any]]:
    """The training examples whose questions share most words with this one, best first.

    `share` is in (0, 1]: shared words by all words of both.
    """
    asked = question_words(question)
    wanted = asked.terms | asked.numbers
    scored = []
    for example in ExampleStore(library).find(status="accepted", split="train"):
        words = question_words(example.question)
        there = words.terms | words.numbers
        shared = len(wanted & there)
        if shared:
            scored.append((shared / len(wanted | there), example))
    scored.sort(key=lambda pair: -pair[0])
    return [
        {
            "question": example.question,
            "answer": example.answer,
            "method": example.method,
            "reviewed": example.reviewed,
            "share": round(share, 3),
        }
        for share, example in scored[:_NEAREST]
    ]
