"""Forms of English words (lemminflect)."""

from __future__ import annotations

from functools import lru_cache

_KEPT = 20_000


@lru_cache(maxsize=_KEPT)
def lemma(word: str, part: str = "") -> str:
    """The base form of `word` as a NOUN, VERB or ADJ (or any of them), "" where the dictionary has none."""
    import lemminflect

    known = lemminflect.getAllLemmas(word)
    found = known.get(part, ()) if part else [base for bases in known.values() for base in bases]
    return str(found[0]) if found else ""


@lru_cache(maxsize=_KEPT)
def inflected(base: str, tag: str) -> str:
    """The form of a base that a Penn tag names, "" for none."""
    import lemminflect

    found = lemminflect.getInflection(base, tag)
    return str(found[0]) if found else ""
