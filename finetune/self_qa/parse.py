"""Replies of a teacher, read leniently: JSON, nearly JSON, labels, or bare lines.

Teachers wrap JSON in fences and prose, number their lines, use single or full-width quotation marks, leave
commas too many or quotation marks too few. Whatever they do, nothing here raises: what cannot be read is
None or an empty list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 40_000  # characters of a reply that are looked at
_FIELDS: dict[str, tuple[str, ...]] = {
    "question": ("question", "instruction", "q", "问题", "問題", "提问", "问", "問"),
    "answer": ("answer", "response", "a", "答案", "回答", "答"),
    "quote": ("quote", "evidence", "quotation", "sentence", "引文", "引用", "原文", "原句", "证据", "依据"),
    "quote_1": ("quote_1", "quote1", "quote 1", "evidence_1", "引文1", "原文1", "证据1"),
    "quote_2": ("quote_2", "quote2", "quote 2", "evidence_2", "引文2", "原文2", "证据2"),
}
_NAMES = {name: field for field, names in _FIELDS.items() for name in names}
_PAIRS = dict(zip("\"'“‘「『＂`", "\"'”’」』＂`", strict=True))
_OPEN, _CLOSE = "".join(_PAIRS), "".join(_PAIRS.values())
_ANY_NAME = "|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True))
# A name before a colon, at the start of a line or behind what ends the value before it. Every repetition has
# an end, so that no reply takes long to read.
_LABEL = re.compile(
    r"(?:^|(?<=[{｛,，\n]))[ \t\-*#>•]{0,12}(?:\d{1,3}[.)、．][ \t]{0,4})?\*{0,3}"
    rf"[{_OPEN}]?({_ANY_NAME})"
    rf"[ \t]{{0,4}}\d{{0,3}}[ \t]{{0,4}}[{_CLOSE}]?\*{{0,3}}[ \t]{{0,4}}[:：][ \t]*\*{{0,3}}",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(
    r"^\s*(?:(?:question|q|instruction|问题|问)\s*\d*\s*[:：.、]|[(（]?\d{1,3}[.)）、．:：])\s*",
    re.IGNORECASE,
)
_LONGEST_PHRASE = 200  # characters
_MARKER = re.compile(r"\s*[\[【]\d{1,3}[\]】]")
_FENCE = re.compile(r"^\s*(?:```|~~~)[\w-]*\s*$", re.MULTILINE)
_NOTHING = frozenset(
    [
        *"null none n/a unknown unanswerable 无 無 没有 无法回答 未提及 不知道".split(),
        *("no answer", "not answerable", "not mentioned", "not stated"),
    ]
)

Item = Mapping[str, str | None]


def read_questions(text: str) -> list[str]:
    """The questions of a reply, in order, without numbers, marks around them and repetitions."""
    text = _FENCE.sub("", text[:_LONGEST])
    found = [item["question"] for item in _items(text) if item.get("question")]
    if not found:
        lines = [line.strip().rstrip(_CLOSE + ",，]*") for line in text.splitlines()]
        found = [line for line in lines if line.endswith(("?", "？"))]
    tidy = [tidy_question(question) for question in found if question]
    return list(dict.fromkeys(question for question in tidy if question))


def read_item(text: str, needed: str) -> Item | None:
    """The fields of the first item of a reply that names the field `needed`; a value of nothing is None."""
    text = _FENCE.sub("", text[:_LONGEST])
    return next((item for item in _items(text) if needed in item), None)


def read_answered(text: str) -> dict[str, Item]:
    """The items of a reply that hold an answer beside their question, by the question."""
    found: dict[str, Item] = {}
    for item in _items(_FENCE.sub("", text[:_LONGEST])):
        question = item.get("question")
        if question and item.get("answer"):
            found.setdefault(tidy_question(question), item)
    return found


def bare_phrase(text: str) -> str | None:
    """What a reply of one short line says, without markers like [1] and the marks around it; else None."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if len(lines) != 1 or len(lines[0]) > _LONGEST_PHRASE:
        return None
    return _something(_bare(_MARKER.sub("", lines[0]).strip().rstrip(".。")))


def tidy_question(text: str) -> str:
    """One line, without its number and the marks around it."""
    text = re.sub(r"^[-*•>#\s]+(?=\s)", "", " ".join(text.split()))
    return _bare(_NUMBER.sub("", text))


def _items(text: str) -> Iterator[Item]:
    """What can be read as items: whole JSON, then objects one by one, then labels outside of braces."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict | list):
        yield from _of_json(whole)
        return
    some = False
    for snippet in _snippets(text):
        for item in _of_snippet(snippet):
            some = True
            yield item
    if not some:
        yield from _of_labels(text)


def _snippets(text: str) -> Iterator[str]:
    """Runs that look like an object each: from one opening brace to its end, or to the next one."""
    decoder = json.JSONDecoder()
    text = text.replace("｛", "{").replace("｝", "}")
    place = text.find("{")
    while place >= 0:
        try:
            _, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            following = text.find("{", place + 1)
            end = len(text) if following < 0 else following
            close = text.rfind("}", place, end)
            end = close + 1 if close > 0 else end
        yield text[place:end]
        place = text.find("{", end)


def _of_snippet(text: str) -> list[Item]:
    for attempt in (text, _repaired(text)):
        try:
            value = json.loads(attempt)
        except (ValueError, RecursionError):
            continue
        return list(_of_json(value))
    return list(_of_labels(text))


def _repaired(text: str) -> str:
    """Nearly JSON made JSON: full-width marks, trailing commas, bare line breaks in strings."""
    text = re.sub(r"[“”„‟＂]", '"', text)
    text = re.sub(r'"\s*：\s*', '": ', text)
    text = re.sub(r'(?<=["\]}el\d])\s*，\s*(?=")', ", ", text)
    text = re.sub(r"[,，]\s*([}\]])", r"\1", text)
    return re.sub(r"[\r\n]+", " ", text)


def _of_json(value: Any) -> Iterator[Item]:
    """Items in a JSON value: objects with a known name, or strings in a list of questions."""
    if isinstance(value, list):
        for one in value[:100]:
            if isinstance(one, str):
                yield {"question": one}
            elif isinstance(one, dict | list):
                yield from _of_json(one)
        return
    if not isinstance(value, dict):
        return
    item: dict[str, str | None] = {}
    for name, inner in value.items():
        plain = name.strip().lower()
        field = _NAMES.get(plain) or _NAMES.get(re.sub(r"[\s_]*\d{1,3}$", "", plain))
        if field is None or isinstance(inner, dict):
            continue
        if field in item:  # {"question 1": ..., "question 2": ...}
            yield item
            item = {}
        item[field] = _value(inner)
    if item:
        yield item
        return
    for inner in value.values():
        if isinstance(inner, dict | list):
            yield from _of_json(inner)


def _value(value: Any) -> str | None:
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, str)), None)
    if value is None or isinstance(value, bool | dict):
        return None
    return _something(str(value).strip())


def _of_labels(text: str) -> Iterator[Item]:
    """Items in text of the form `Question 1: … Answer: …`; a name that comes again begins the next item."""
    item: dict[str, str | None] = {}
    labels = list(_LABEL.finditer(text))
    ends = [*(label.start() for label in labels[1:]), len(text)][: len(labels)]
    for label, end in zip(labels, ends, strict=True):
        field = _NAMES[label[1].lower()]
        if field in item:
            yield item
            item = {}
        item[field] = _something(_bare(_first_block(text[label.end() : end])))
    if item:
        yield item


def _first_block(text: str) -> str:
    """A value ends with its paragraph: what follows a blank line is prose again."""
    return re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]


def _bare(text: str) -> str:
    """`text` without the marks around it: quotation marks, asterisks, closing brackets, commas.

    A quotation mark at one end only goes where its partner is missing, and stays where it is inside.
    """
    text = text.strip().strip("*_").rstrip(" \t\r\n,，}｝]").strip()
    if text[:1] in _PAIRS:
        partner = text.find(_PAIRS[text[0]], 1)
        wraps = partner == len(text) - 1 or (partner > 0 and text[0] == text[-1])
        if partner < 0 or wraps:
            text = text[1:-1] if wraps else text[1:]
    for opening, closing in _PAIRS.items():
        if text.endswith(closing) and text.count(opening) == (opening == closing):
            text = text[:-1]
    return re.sub(r"\\(['\"])", r"\1", text).strip()


def _something(text: str) -> str | None:
    plain = text.strip().rstrip(".。!！").strip().lower()
    return None if not plain or plain in _NOTHING else text.strip()
