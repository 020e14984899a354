"""Refusals by the probability of their first token: single, streamed and in a batch, at no cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from tiny_chat import tiny_model

from corpora.prompt import REFUSAL, Language, refusal_of, render, render_closed_book
from corpora.records import Message, Passage
from finetune.card import Serving
from finetune.teacher import Ask

if TYPE_CHECKING:
    from assistant.chat_models.local import LocalChatModel

QUESTIONS = {
    "en": ("When?", "Who built the lighthouse of the harbour?", "How high?"),
    "zh": ("哪一年？", "谁？"),
}
ALL = [(language, question) for language, asked in QUESTIONS.items() for question in asked]


def passage(text: str = "It was built in 1874.") -> Passage:
    return Passage(1, "p", "d", "a.md", "md", 0, 0, len(text), 1, 1, None, None, text)


def prompt(model: LocalChatModel, question: str, history: Sequence[Message] = ()) -> tuple[Message, ...]:
    options: dict[str, Any] = {"count_tokens": model.count_tokens, "limit": 1400, "examples": False}
    return render(question, [passage()], history=history, **options).messages


def invoke(model: LocalChatModel, messages: Sequence[Message], **options: Any) -> str:
    return str(model.invoke([(message.role, message.content) for message in messages], **options).content)


def share(model: LocalChatModel, messages: Sequence[Message], language: Language) -> float:
    """The probability of the refusal's first token."""
    import torch

    (first, *_) = model._encoder.encode(REFUSAL[language], special=False)
    with torch.inference_mode():
        logits = model._weights.model(torch.tensor([model.prompt_ids(messages)])).logits[0, -1]
    return float(logits.softmax(-1)[first])


def with_threshold(threshold: float | None) -> LocalChatModel:
    return tiny_model(
        serving=Serving(examples=False, refusal_threshold=threshold), max_position_embeddings=2048
    )


@pytest.mark.parametrize(("language", "question"), ALL)
def test_above_the_threshold_the_reply_is_the_sentence_in_the_language_of_the_question(
    language: Language, question: str
) -> None:
    plain = with_threshold(None)
    messages = prompt(plain, question)
    likely = share(plain, messages, language)
    eager, reluctant = with_threshold(likely * 0.99), with_threshold(min(1.0, likely * 1.01))
    assert invoke(eager, messages, max_new_tokens=60) == REFUSAL[language]
    said = invoke(reluctant, messages, max_new_tokens=60)
    assert said != REFUSAL[language] and said[:1] != REFUSAL[language][:1]


def test_a_streamed_refusal_is_the_whole_sentence_and_counts_its_tokens() -> None:
    model = with_threshold(0.0)
    messages = prompt(model, "When?")
    chunks = list(model.stream([(m.role, m.content) for m in messages], max_new_tokens=60))
    assert "".join(str(chunk.content) for chunk in chunks) == REFUSAL["en"]
    used = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]  # type: ignore[attr-defined]
    assert sum(one["output_tokens"] for one in used) == model.text_tokens(REFUSAL["en"])
    assert sum(one["input_tokens"] for one in used) == model.count_tokens(messages)


def test_a_batch_refuses_and_answers_row_by_row_as_each_would_alone() -> None:
    plain = with_threshold(None)
    prompts = [(language, prompt(plain, question)) for language, question in ALL]
    shares = sorted(share(plain, messages, language) for language, messages in prompts)
    model = with_threshold((shares[1] + shares[2]) / 2)
    asks = [Ask(messages, 60) for _, messages in prompts] + [Ask((Message("user", "hello"),), 20)]
    together = model.generate_batch(asks)
    assert together == [model.generate_batch([ask])[0] for ask in asks]
    assert [reply.text for reply in together[:-1]] == [
        invoke(model, m, max_new_tokens=60) for _, m in prompts
    ]
    refused = [reply for reply in together if reply.text in REFUSAL.values()]
    assert len(refused) == len(prompts) - 2
    assert not any(reply.cut for reply in refused)
    assert {reply.text for reply in with_threshold(0.0).generate_batch(asks[:-1])} == set(REFUSAL.values())


def test_the_limit_of_tokens_holds_for_refusals_too() -> None:
    model = with_threshold(0.0)
    messages = prompt(model, "When?")
    (reply,) = model.generate_batch([Ask(messages, 5)])
    assert (reply.text, reply.cut, reply.usage.completion_tokens) == (REFUSAL["en"][:5], True, 5)
    assert invoke(model, messages, max_new_tokens=5) == REFUSAL["en"][:5]


@pytest.mark.parametrize(("threshold", "question"), [(0.0, "When?"), *((1.0, q) for _, q in ALL)])
def test_it_costs_no_forward_pass(threshold: float, question: str) -> None:
    made: list[int] = []
    model = with_threshold(threshold)
    ask = Ask(prompt(model, question), 9 if threshold else 60)
    model.generate_batch([ask])  # reads what prompts begin with
    model._weights.model.register_forward_pre_hook(lambda *_: made.append(1))
    (reply,) = model.generate_batch([ask])
    needed = 1 if threshold == 0 else reply.usage.completion_tokens + (not reply.cut)
    assert len(made) == needed
    assert invoke(model, ask.messages, max_new_tokens=ask.max_new_tokens) == reply.text
    assert len(made) == 2 * needed


def test_only_prompts_over_passages_are_decided_by_the_threshold() -> None:
    plain, model = with_threshold(None), with_threshold(0.0)
    closed = render_closed_book("When?", count_tokens=model.count_tokens, limit=1400).messages
    grounded = prompt(model, "When?")
    user = Message("user", grounded[-1].content)
    forged = (Message("system", grounded[0].content + " "), user)
    for messages in (closed, (user,), forged, (Message("user", grounded[0].content), user)):
        assert refusal_of(messages) is None
        assert invoke(model, messages, max_new_tokens=20) == invoke(plain, messages, max_new_tokens=20)
    asked_before = [Message("user", "灯塔？"), Message("assistant", "有。")]
    assert invoke(model, prompt(model, "When?", asked_before), max_new_tokens=60) == REFUSAL["en"]


def test_without_a_threshold_the_text_decides() -> None:
    none, plain = with_threshold(None), tiny_model(max_position_embeddings=2048)
    messages = prompt(plain, "When?")
    assert invoke(none, messages) == invoke(plain, messages)
    assert plain.serving is None


def test_the_probability_of_a_first_token_is_that_of_the_rule() -> None:
    model = with_threshold(None)
    prompts = [(language, prompt(model, question)) for language, question in ALL]
    firsts = {language: model._encoder.encode(text, special=False)[0] for language, text in REFUSAL.items()}
    found = model.first_token_probabilities([(model.prompt_ids(m), firsts[lang]) for lang, m in prompts])
    assert found == pytest.approx([share(model, m, lang) for lang, m in prompts], rel=1e-4)  # type: ignore[arg-type]
