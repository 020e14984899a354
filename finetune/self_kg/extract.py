"""Edges from passages: by rule, and by a model that is asked for JSON. Each stands in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from corpora.prompt import Language, language_of
from corpora.records import Message, Passage, Span
from finetune.candidates import Claimed
from finetune.self_kg import patterns_en, patterns_zh
from finetune.self_kg.records import Edge, distinct
from finetune.teacher import Ask, Teacher
from index.evidence.sentences import sentences

PROMPT_VERSION = "kg-1"
_LONGEST_SENTENCE = 500  # characters
_MOST_EDGES = 12  # of one reply
_PRONOUNS = frozenset(
    "he she it they him her them his its their this that these those i we you who which there one".split()
    + "他 她 它 他们 她们 它们 这 那 此 该 其 我 我们 本文 作者".split()
)
_PROMPT: dict[Language, str] = {
    "en": (
        "List the facts of the text as JSON: a list of objects with the keys subject, relation and object. "
        "Copy subject and object word for word from the text; the relation is one to three words. No "
        "pronouns. At most eight facts, only what the text says.\n"
        'Example: [{{"subject": "Brannock Lighthouse", "relation": "built by", "object": "Anna Kerr"}}]\n\n'
        "Text:\n{text}\n\nJSON:"
    ),
    "zh": (
        "请把文本中的事实列成 JSON：一个列表，每个对象有 subject、relation、object 三个键。"
        "subject 和 object 必须逐字抄自文本，relation 用两到六个字的名词或动词。"
        "不要用代词，最多八条，只写文本说到的事实。\n"
        '例如：[{{"subject": "布兰诺克灯塔", "relation": "建造者", "object": "安娜·克尔"}}]\n\n'
        "文本：\n{text}\n\nJSON："
    ),
}
_OBJECT = re.compile(r"\{[^{}]{5,600}\}")
_KEYS = (
    ("subject", "head", "s", "主体"),
    ("relation", "predicate", "r", "关系"),
    ("object", "tail", "o", "客体"),
)


def by_rule(passage: Passage) -> list[Edge]:
    """What the sentences of a passage say in so many words."""
    title = (passage.heading or "").split(" > ")[0].strip()
    found: list[Edge] = []
    for span in sentences(passage.text):
        text = passage.text[span.start : span.end]
        if len(text) > _LONGEST_SENTENCE or "\n" in text:
            continue
        patterns = patterns_zh if language_of(text) == "zh" else patterns_en
        for subject, relation, object_ in patterns.facts(text, title):
            if subject != object_:
                quote = Claimed(passage, text, span.start)
                found.append(Edge(subject, relation, object_, (quote,)))
    return distinct(found)


def by_model(passages: Sequence[Passage], teacher: Teacher) -> list[list[Edge]]:
    """The edges that `teacher` finds in each passage; one call a passage, a failed one gives none."""
    replies = teacher.ask([Ask((Message("user", _prompt(one)),), max_new_tokens=400) for one in passages])
    return [
        distinct(_grounded(read_reply(reply.text or ""), passage))
        for passage, reply in zip(passages, replies, strict=True)
    ]


def read_reply(text: str) -> list[tuple[str, str, str]]:
    """The triples in a reply: every object of it that parses, whatever stands around or between them."""
    found: list[tuple[str, str, str]] = []
    for piece in _OBJECT.findall(text):
        try:
            value = json.loads(piece, strict=False)
        except (ValueError, RecursionError):
            continue
        parts = [_part(value, keys) for keys in _KEYS]
        if all(parts):
            found.append((parts[0], parts[1], parts[2]))
    return found[:_MOST_EDGES]


def _part(value: dict[str, Any], keys: Iterable[str]) -> str:
    return next((str(value[key]).strip() for key in keys if isinstance(value.get(key), str)), "")


def _prompt(passage: Passage) -> str:
    return _PROMPT[language_of(passage.text)].format(text=passage.text)


def _grounded(triples: Iterable[tuple[str, str, str]], passage: Passage) -> list[Edge]:
    """The triples that one sentence of the passage holds, subject and object word for word."""
    spans = [span for span in sentences(passage.text) if span.end - span.start <= _LONGEST_SENTENCE]
    found: list[Edge] = []
    for subject, relation, object_ in triples:
        if {subject.casefold(), object_.casefold()} & _PRONOUNS or subject == object_:
            continue
        span = next((one for one in spans if _holds(passage.text, one, subject, object_)), None)
        if span is not None and len(relation) <= 40:
            quote = Claimed(passage, passage.text[span.start : span.end], span.start)
            found.append(Edge(subject, relation, object_, (quote,), "model"))
    return found


def _holds(text: str, span: Span, *names: str) -> bool:
    return all(_word(name).search(text, span.start, span.end) is not None for name in names)


def _word(name: str) -> re.Pattern[str]:
    """`name` verbatim, not inside of a longer word."""
    left = r"(?<!\w)" if name[:1].isascii() and name[:1].isalnum() else ""
    right = r"(?!\w)" if name[-1:].isascii() and name[-1:].isalnum() else ""
    return re.compile(f"{left}{re.escape(name)}{right}")
