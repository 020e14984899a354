"""The check of an export, and the Modelfile: what passes, what fails, what Ollama is told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

import pytest
from chat_tokenizers import FAMILIES, QWEN2_5, tokenizer

from corpora.chat_template import ChatTemplate
from finetune.chat_tokens import template_of
from finetune.export.answers import Written
from finetune.export.modelfile import modelfile
from finetune.export.parity import Parity, Prompt, compare
from finetune.export.turns import read_turns

TALK = [("system", "Be brief."), ("user", "Who?"), ("assistant", "Anna."), ("user", "When?")]


def parity(*pairs: tuple[Written, Written], cut: int | None = None) -> Parity:
    prompts = [Prompt(f"q{n}", "text", (1,)) for n in range(len(pairs))]
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    return compare(prompts, ours, theirs, lambda ids: " ".join(map(str, ids)), cut)


def answer(*ids: int, log: float = -0.5, gap: float = 3.0) -> Written:
    return Written(ids, (log,) * len(ids), (gap,) * (len(ids) + 1))


def test_equal_answers_pass_with_their_figures() -> None:
    found = parity((answer(1, 2), answer(1, 2, log=-0.51)), (answer(), answer()), cut=2)
    assert found.passed
    assert found.row() == {
        "questions": 2,
        "identical": 2,
        "agreeing": 2,
        "f1": 1.0,
        "log_probability_difference": 0.01,
        "texts_cut_alike": 2,
        "passed": True,
    }


@pytest.mark.parametrize(
    "pair",
    [
        (answer(1, 2), answer(1, 3)),
        (answer(1, 2), answer(1)),  # ended early
        (answer(1), answer(1, 2)),  # went on
        (answer(1, 2), answer(1, 2, log=-0.6)),  # the same words, less sure of them
    ],
    ids=["other word", "shorter", "longer", "surer"],
)
def test_a_difference_where_the_adapter_was_decided_fails(pair: tuple[Written, Written]) -> None:
    assert not parity(pair).passed


@pytest.mark.parametrize("theirs", [answer(1, 3), answer(1), answer(1, 2, 3)])
def test_a_difference_where_it_was_not_agrees_and_is_not_called_identical(theirs: Written) -> None:
    found = parity((answer(1, 2, gap=0.1), theirs))
    assert (found.identical, found.agreeing, found.passed) == (0, 1, True)


def test_a_tokenizer_that_cuts_otherwise_fails() -> None:
    assert not parity((answer(1), answer(1)), cut=0).passed


def test_probabilities_that_are_not_told_are_left_out() -> None:
    found = parity((answer(1, 2), Written((1, 2), (None, -0.5))))
    assert found.pairs[0].differences == (0.0,)
    assert parity((Written((1,), (-1.0,)), Written((2,), (-1.0,)))).pairs[0].gap == math.inf


def run_go(template: str, talk: Sequence[tuple[str, str]]) -> str:
    """What Go's text/template makes of the actions that our Modelfiles use; no others are known here."""
    parts = re.split(r"\{\{ (.*?) \}\}", template)
    assert set(parts[::2]) == {""}, "all text stands in literals"
    actions, out, place = parts[1::2], [], 0
    variables: dict[str, str] = {}

    def value(word: str, message: tuple[str, str]) -> str:
        return {".Role": message[0], ".Content": message[1]}.get(word) or variables.get(word) or ""

    def block(at: int, message: tuple[str, str], running: bool) -> int:
        """Runs the actions from `at` to the `end` or `else` that closes them; returns where that is."""
        while at < len(actions) and actions[at] != "end" and not actions[at].startswith("else"):
            action = actions[at]
            if action == "range .Messages":
                start = at + 1
                for one in talk:
                    at = block(start, one, running)
            elif action.startswith("if "):
                done = False
                while actions[at] != "end":
                    found = re.fullmatch(r'(?:else )?if eq (\S+) "(\w*)"', actions[at])
                    assert found is not None, actions[at]
                    holds = running and not done and value(found[1], message) == found[2]
                    done = done or holds
                    at = block(at + 1, message, holds)
            elif running and action.startswith('"'):
                out.append(json.loads(action))
            elif running and action == ".Content":
                out.append(message[1])
            elif running:
                name, word = re.fullmatch(r'(\$before) :?= (""|\.Role)', action).groups()  # type: ignore[union-attr]
                variables[name] = "" if word == '""' else message[0]
            at += 1
        return at

    assert block(place, ("", ""), True) == len(actions)
    return "".join(out)


@pytest.mark.parametrize("family", FAMILIES)
def test_ollama_renders_a_talk_as_the_chat_template_does(family: str) -> None:
    whole = tokenizer(family)
    template = template_of(whole, family)
    start = whole.bos_token if family in ("llama3", "mistral") else ""
    text = modelfile("x.gguf", read_turns(template), system="Be brief.", stops=[], context=9999, start=start)
    assert text is not None
    shown = re.search(r'TEMPLATE """(.*?)"""', text, re.DOTALL)
    assert shown is not None
    for talk in (TALK, TALK[1:2]):
        turns = [{"role": role, "content": content} for role, content in talk]
        expected = whole.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert start + run_go(shown[1], talk) == expected


def test_a_modelfile_ends_where_answers_end_and_varies_nothing() -> None:
    turns = read_turns(ChatTemplate(QWEN2_5, {}))
    text = modelfile(
        "x.gguf",
        turns,
        system="Only from the passages.",
        stops=["<|im_end|>", "\nQuestion:"],
        context=32768,
        start="",
    )
    assert text is not None
    assert text.startswith("FROM ./x.gguf\n") and 'SYSTEM """Only from the passages."""' in text
    for line in (
        "temperature 0",
        "repeat_penalty 1",
        "num_ctx 8192",
        'stop """<|im_end|>"""',
        'stop """\nQuestion:"""',
    ):
        assert f"PARAMETER {line}\n" in text
    assert modelfile("x", turns, system='ends """ early', stops=[], context=9, start="") is None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_table_of_turns_renders_as_the_template(family: str) -> None:
    template = template_of(tokenizer(family), family)
    turns = read_turns(template)
    assert turns is not None
    for roles in (("system", "user"), ("system", *("user", "assistant") * 4, "user")):
        assert turns.pieces(roles) == template.pieces(roles)


def test_a_template_that_looks_further_back_has_no_table() -> None:
    counting = "{% for m in messages %}<{{ loop.index }}>{{ m.content }}{% endfor %}"
    assert read_turns(ChatTemplate(counting, {})) is None
    assert modelfile("x.gguf", None, system="s", stops=[], context=9, start="") is None
