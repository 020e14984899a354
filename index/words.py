"""Text to index words: what the lexical index counts, of passages and of queries alike.

Words of scripts that put spaces between them stay whole (the index stems them as English afterwards).
Scripts that do not (Chinese, Japanese, Thai, ...) and Korean, whose particles stick to the noun, become
single characters and overlapping pairs. Identifiers stay whole and give their parts too: `getFooBar` is
`getfoobar get foo bar`. Numbers keep their decimal point and lose their thousands comma.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from index.stopwords import CUTS, ENGLISH, SINGLE

# Written without spaces between words, so that single characters and pairs stand for words: Thai, Lao,
# Tibetan, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham, Balinese, Hiragana to Bopomofo, Han, Yi,
# Javanese, Hangul, halfwidth forms, Han beyond the basic plane.
_UNSPACED = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u0f40-\u0fbc\u1000-\u109f\u1780-\u17dd\u1950-\u19df\u1a20-\u1aad\u1b05-\u1b4b"
    "\u3005-\u3007\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\ua000-\ua48c\ua980-\ua9c0\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af"
)
# Vowel signs of Indic scripts are marks, which \w leaves out; the danda (U+0964, U+0965) is punctuation.
_MARKS = "\u0300-\u036f\u0900-\u0963\u0966-\u0df3"
_TOKEN = re.compile(
    f"([{_UNSPACED}]+)"
    r"|([0-9]+(?:[.,][0-9]+)+)"
    f"|((?:(?![{_UNSPACED}])[\\w{_MARKS}])+)"
)
_ASCII_TOKEN = re.compile(r"[0-9]+(?:[.,][0-9]+)+|\w+")
_CASE_CHANGE = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Vowel points of Hebrew and Arabic and the Arabic stretcher: written or left out at will.
_OPTIONAL = re.compile("[\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]")
_LONG_RUN = re.compile(f"(?:(?![{_UNSPACED}])[^\\s\x00-\x7f]){{31,}}")
LONGEST = 64  # letters; what is longer is no word anybody types: cut, in the index and in the query alike


def index_words(text: str) -> str:
    """The words of `text` for the index, lower case, separated by spaces; order and repeats are kept."""
    found: list[str] = []
    if text.isascii():
        for token in _ASCII_TOKEN.findall(text):
            _add_word(token, found)
        return " ".join(found)
    for match in _TOKEN.finditer(_OPTIONAL.sub("", unicodedata.normalize("NFKC", text))):
        run = match[1]
        if run:
            found.extend(run)
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            _add_word(match[0], found)
    return " ".join(found)


def query_words(text: str) -> list[str]:
    """The words of a question, as `index_words` would make them, less those that say nothing (`stopwords`).

    A question of nothing else ("the who") keeps them all.
    """
    cut = text if text.isascii() else CUTS.sub(" ", unicodedata.normalize("NFKC", text))
    kept = [word for word in index_words(cut).split() if word not in ENGLISH and word not in SINGLE]
    return kept or index_words(text).split()


def _add_word(token: str, found: list[str]) -> None:
    if token.islower() and "_" not in token:
        found.append(token[:LONGEST])
    elif token[0].isdigit() and not token[-1].isalpha():
        found.append(token.replace(",", "")[:LONGEST])
    else:
        _add_identifier(token, found)


def _add_identifier(token: str, found: list[str]) -> None:
    """A word with capitals or underscores: itself, and its parts where it has several."""
    if "_" not in token and (token.istitle() or token.isupper()):
        found.append(token.lower()[:LONGEST])
        return
    whole = token.strip("_").lower()
    if not whole:
        return
    found.append(whole[:LONGEST])
    parts = [part for word in token.split("_") for part in _CASE_CHANGE.split(word) if part]
    if len(parts) > 1:
        found.extend(part.lower()[:LONGEST] for part in parts)


def unseen_scripts(text: str) -> dict[str, int]:
    """Letters by script that the index cannot find: words run together in a script it takes for spaced.

    Over 30 letters of one script without a space are no word; a query would have to repeat them whole.
    Names are Unicode's ("SUNDANESE"). Latin is left out: there a long run is a hash or a link, not language.
    """
    unseen: Counter[str] = Counter()
    for run in _LONG_RUN.findall(text):
        scripts = Counter(unicodedata.name(char, "UNKNOWN").split()[0] for char in run if char.isalpha())
        script, letters = scripts.most_common(1)[0] if scripts else ("LATIN", 0)
        if letters > 30 and script != "LATIN":
            unseen[script] += letters
    return dict(unseen)
