"""Where in a passage a teacher's quote stands: the place is a hint, the checks decide."""

from __future__ import annotations

from corpora.records import Passage
from finetune.candidates import Claimed
from index.evidence.sentences import sentences


def claimed(passage: Passage, quote: str | None, answer: str | None) -> tuple[Claimed, ...]:
    """The quote as it stands in `passage`, found whatever its white space; as it was given where it is not.

    The prompt sets blanks into passages (`corpora.prompt.escape`), which a faithful copy repeats. Without a
    quote it is the one sentence that holds the answer, or nothing.
    """
    if quote is not None:
        place = find_spaced(passage.text, quote)
        if place is None:
            return (Claimed(passage, quote),)
        return (Claimed(passage, passage.text[place[0] : place[1]], place[0]),)
    text = passage.text
    held = [span for span in sentences(text) if answer and answer in text[span.start : span.end]]
    if len(held) != 1:
        return ()
    return (Claimed(passage, text[held[0].start : held[0].end], held[0].start),)


def find_spaced(text: str, wanted: str) -> tuple[int, int] | None:
    """Start and end of `wanted` in `text`, white space left out of account; None where it is not there."""
    places = [n for n, char in enumerate(text) if not char.isspace()]
    needle = "".join(wanted.split())
    found = "".join(text[n] for n in places).find(needle) if needle else -1
    return None if found < 0 else (places[found], places[found + len(needle) - 1] + 1)
