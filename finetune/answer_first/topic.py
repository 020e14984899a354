"""What a document is about, from its title, so that "the parliament" can be named in full."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from corpora.records import Passage

_TITLE = re.compile(r"[A-Z0-9][\w'’.-]*(?: [\w'’.-]+){1,4}")
# Names with one of these as their last word stand without "the".
_BARE = frozenset(
    "university college school park street square station airport hospital island lake theory".split()
)


@dataclass(frozen=True, slots=True)
class Topic:
    """`name` is the title as it stands inside a sentence, with its article; `noun` is its last word."""

    name: str
    noun: str

    def named_in(self, question: str, vague: Sequence[str]) -> str:
        """`question` with "the <noun>" written out; other vague nouns stay as they are."""
        for word in vague:
            if word.casefold() == self.noun:
                question = re.sub(rf"\bthe {re.escape(word)}\b", lambda _: self.name, question, count=1)
        return question


def title_of(passage: Passage) -> str:
    """The first heading over a passage, else the name of its file; "" where neither says anything."""
    title = (passage.heading or "").split(" > ")[0].strip()
    return title or PurePosixPath(passage.path).stem.replace("_", " ").strip()


def topic_of(passage: Passage) -> Topic | None:
    """The topic that a title of several words names, None where there is none."""
    title = title_of(passage)
    if not _TITLE.fullmatch(title):
        return None
    noun = title.split()[-1].casefold()
    text = passage.text.casefold()
    if f"the {title.casefold()}" in text:
        name = f"the {title}"
    elif title.casefold() in text or noun in _BARE:
        name = title
    else:
        name = f"the {title}"
    return Topic(name, noun)
