"""Guesses the encoding of text that is neither marked, nor declared, nor UTF-8.

charset-normalizer is good with long text and poor with a line or two ("café" as UTF-16, Spanish as cp1250).
So the few encodings that people really have are also scored here, by what stands next to what: a Cyrillic
letter belongs to a run of its like, a capital does not follow a small letter, a fraction sign is not part
of a word, and a Chinese character is most likely a common one. The score of a text is the mean over its
bytes above 0x7F, about 1 for real text and below 0.6 for most text in the wrong encoding.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from functools import lru_cache

_SEARCHED = 1 << 22  # bytes in which lines worth scoring are looked for
_CANDIDATES = (  # in this order where the scores are equal
    "cp1252",
    "gb18030",
    "cp950",
    "cp932",
    "euc_jp",
    "cp949",
    "cp1251",
    "koi8-r",
    "cp1250",
    "cp1254",
    "cp1253",
    "cp1256",
    "cp1255",
    "cp874",
    "cp1257",
    "cp866",
    "koi8-u",
    "mac_cyrillic",
    "mac_roman",
    "iso8859-2",
    "iso8859-5",
    "cp437",
)
_LEAD_RANGES = {  # the lead bytes of common ideographs
    "gb18030": (0xB0, 0xD7),
    "cp950": (0xA4, 0xC6),
    "cp932": (0x88, 0x97),
    "euc_jp": (0xB0, 0xCF),
    "cp949": (0xB0, 0xC8),
}
_MOST_COMMON = {
    "gb18030": (
        "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她"
        "里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老"
        "从动两长"
    ),
    "cp950": (
        "的一是不了在人有我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她"
        "裡後小麼心多天而能好都然沒日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老"
        "從動兩長"
    ),
    "cp949": (
        "이다는의에을를가은도하고한지로기사서어있자그나아리인스시대수게들해전라보정마일부여니만주제구장상"
    ),
}
_LANGUAGES = {  # the letters beyond ASCII of the languages that an encoding is used for
    "cp1252": (
        "éèêëàâçîïôùûüœæÿ",  # French
        "äöüßéèà",  # German, Finnish
        "áéíóúñüªº",  # Spanish
        "áâãàçéêíóôõúü",  # Portuguese
        "àèéìòùîó",  # Italian, Catalan
        "åäöæøéèüô",  # the Nordic languages
        "áéíóúýþðæö",  # Icelandic
        "ëéèïóöüê",  # Dutch
    ),
    "cp1250": (
        "ąćęłńóśźż",  # Polish
        "áčďéěíňóřšťúůýžľĺŕôä",  # Czech, Slovak
        "áéíóöőúüű",  # Hungarian
        "čćđšž",  # Croatian, Slovene, Bosnian
        "ăâîșşțţ",  # Romanian
    ),
    "cp1254": ("çğıİöşüâîû", "çşêîû"),  # Turkish, Kurdish
    "cp1257": ("õäöüšž", "āčēģīķļņšūž", "ąčęėįšųūž"),  # Estonian, Latvian, Lithuanian
}
for _other, _like in (("iso8859-2", "cp1250"), ("mac_roman", "cp1252"), ("cp437", "cp1252")):
    _LANGUAGES[_other] = _LANGUAGES[_like]
_COMMON_LETTERS = frozenset("оеаинтсрвлкмдпуяыіъαοιετσνηυρπκμλςάέίόήاليمنوترهبعدسكفقحجةיוהלאםרשתנמבד")
_DOUBT = {"mac_roman": 0.25, "cp437": 0.25, "mac_cyrillic": 0.1, "iso8859-5": 0.1, "iso8859-2": 0.03}
_TYPOGRAPHY = frozenset("“”‘’„‚–—…«»‹›•€°§©®™£¥µ¡¿·ºª±×†№½¼¾²³\u00a0")
_CJK_PUNCTUATION = frozenset("、。，．！？：；（）「」『』【】《》〈〉“”‘’…—～·・ー　％＋－＝／")


def guess(data: bytes) -> tuple[str, str, float] | None:
    """(encoding, text, confidence in [0, 1]) of 8-bit `data` that is not UTF-8, or None."""
    sample = _sample(data)
    scores = {encoding: score for encoding in _CANDIDATES if (score := _score(sample, encoding)) is not None}
    for encoding in sorted(scores, key=lambda name: (-round(scores[name], 2), _CANDIDATES.index(name))):
        text = _strict(data, encoding)
        if text is not None:
            if scores[encoding] >= 0.3:
                return encoding, text, min(1.0, scores[encoding])
            break
    return _normalizer(data)


def _normalizer(data: bytes) -> tuple[str, str, float] | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    text = _strict(data, best.encoding) if best is not None else None
    if best is None or text is None:
        return None
    return best.encoding, text, 1.0 - best.chaos


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _sample(data: bytes, most: int = 2000) -> bytes:
    """About `most` bytes of the lines that have bytes above 0x7F: plain ASCII says nothing."""
    if len(data) <= most:
        return data
    lines: list[bytes] = []
    left = most
    for line in data[:_SEARCHED].split(b"\n"):
        if not line.isascii():
            lines.append(line[:left])
            left -= len(line)
            if left <= 0:
                break
    return b"\n".join(lines)


def _score(data: bytes, encoding: str) -> float | None:
    """Plausibility of `data` in `encoding`, None where it does not decode."""
    try:  # a character that the end of the sample cuts in two does not count
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return None
    total = weight = 0.0
    latin: Counter[str] = Counter()
    padded = f"\n{text}\n"
    for at, character in enumerate(text, 1):
        if character < "\x80":
            continue
        if encoding in _LEAD_RANGES:
            size = len(character.encode(encoding))
            total += size * _cjk(character, padded[at - 1], padded[at + 1], encoding)
            weight += size
        else:
            total += _alphabetic(character, padded[at - 1], padded[at + 1])
            weight += 1
            latin[character] += _kind(character) == ("Ll", "LATIN") or _kind(character) == ("Lu", "LATIN")
    if not weight:
        return None
    return (total - 0.6 * _foreign_to_all(latin, encoding)) / weight - _DOUBT.get(encoding, 0.0)


def _foreign_to_all(letters: Counter[str], encoding: str) -> int:
    """How many of the Latin `letters` are not of the one language of `encoding` that fits best."""
    languages = _LANGUAGES.get(encoding, ("",))
    return min(
        sum(n for letter, n in letters.items() if letter not in language and letter.lower() not in language)
        for language in languages
    )


def _cjk(character: str, before: str, after: str, encoding: str) -> float:
    if character in _CJK_PUNCTUATION:
        return 1.0
    if "\u3040" <= character <= "\u30ff":
        return 1.0 if encoding in {"cp932", "euc_jp"} else 0.0
    if character in _MOST_COMMON.get(encoding, ""):
        return 1.15
    code = character.encode(encoding)
    low, high = _LEAD_RANGES[encoding]
    common = len(code) == 2 and low <= code[0] <= high and (code[1] >= 0xA1 or encoding in {"cp950", "cp932"})
    if common and before.isascii() and after.isascii() and (before.isalpha() or after.isalpha()):
        return -0.5  # an accented letter and its neighbour, read as one
    if "\uac00" <= character <= "\ud7a3" or "\u4e00" <= character <= "\u9fff":
        return 0.9 if common else -0.3
    return 0.5 if "\uff01" <= character <= "\uff5e" else -1.0


def _alphabetic(character: str, before: str, after: str) -> float:
    if character in _TYPOGRAPHY:
        inside = before.isalpha() and after.isalpha() and character not in "’·\u00a0—–…"
        return -1.0 if inside else 0.8
    category, script = _kind(character)
    if category == "Mn":
        return 1.0 if _kind(before)[1] == script else -1.5
    accent_capital = before.isupper() and after.islower() and before > "\x7f"
    if category[0] != "L" or (category == "Lu" and (before.islower() or accent_capital)):
        return -1.5
    same = [other > "\x7f" and _kind(other)[1] == script for other in (before, after)]
    latin = [other.isascii() and other.isalpha() for other in (before, after)]
    if script == "LATIN":
        if all(same) or (any(same) and not latin[0]):
            return 0.0  # Latin words are mostly ASCII
        return 1.0 if before.isalpha() or after.isalpha() else 0.6
    return -1.5 if any(latin) else _in_own_script(character, category, before, script, any(same))


def _in_own_script(character: str, category: str, before: str, script: str, in_run: bool) -> float:
    if not in_run:
        return 0.0
    if category == "Lu" and before.isupper():
        return 0.7  # words in capitals are the exception
    return 1.0 if script == "THAI" or character.lower() in _COMMON_LETTERS else 0.6


@lru_cache(maxsize=4096)
def _kind(character: str) -> tuple[str, str]:
    return unicodedata.category(character), unicodedata.name(character, "NONE").split()[0]
