"""How Excel's numbers are shown: which are dates, times or percentages, by their number formats."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from lxml import etree

from corpora.readers.containers import attribute, integer, local

_BUILT_IN = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 34, 35, 36, *range(50, 59)), "yyyy-mm-dd"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33), "hh:mm:ss"),
    22: "yyyy-mm-dd hh:mm",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss",
    9: "0%",
    10: "0.00%",
}
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.I)
_LAST_DAY = 2_958_465  # 9999-12-31


class NumberFormats:
    """The cell styles of `styles.xml`, asked by the style index of a cell."""

    def __init__(self, root: etree._Element | None, *, from_1904: bool) -> None:
        self._epoch = datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30)
        codes = dict(_BUILT_IN)
        self._kinds: list[str] = []
        if root is None:
            return
        for element in root.iter("{*}numFmt"):
            codes[integer(attribute(element, "numFmtId"))] = attribute(element, "formatCode")
        for group in root:
            if local(group) == "cellXfs":
                self._kinds = [_kind(codes.get(integer(attribute(style, "numFmtId")), "")) for style in group]

    def shown(self, text: str, style: int) -> str:
        """A stored number as people see it: ISO dates and times, percentages, no rounding noise."""
        kind = self._kinds[style] if 0 <= style < len(self._kinds) else ""
        try:
            number = float(text)
        except ValueError:
            return text
        if kind.endswith("%"):
            return f"{number * 100:.{kind.count('0')}f}%" if abs(number) < 1e9 else text
        if kind and 0 <= number < _LAST_DAY:
            return self._date(number, kind)
        return _plain(number, text)

    def _date(self, number: float, kind: str) -> str:
        moment = self._epoch + timedelta(seconds=round(number * 86_400))
        if kind == "elapsed":
            minutes, seconds = divmod(round(number * 86_400), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        day, time = f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        if kind == "time" and number < 1:
            return time
        return day if kind == "date" and number == int(number) else f"{day} {time}"


def _kind(code: str) -> str:
    """ "date", "time", "both", "elapsed", "%" with a 0 for each decimal, or "" for a plain number."""
    positive = _LITERALS.sub("", code.split(";", 1)[0]).lower()
    if "%" in positive:
        decimals = positive.partition(".")[2]
        return "0" * min(6, len(decimals) - len(decimals.lstrip("0#"))) + "%"
    if re.search(r"\[[hms]+\]", positive):
        return "elapsed"
    whole = positive.partition(".")[0]
    if "general" in positive or not re.search(r"[ymdhs]", positive) or re.search(r"[0#?]", whole):
        return ""
    has_day, has_time = bool(re.search(r"[yd]|mmm", positive)), bool(re.search(r"[hs]", positive))
    if has_time:
        return "both" if has_day else "time"
    return "date"


def _plain(number: float, text: str) -> str:
    if len(text) < 16 and "e" not in text.lower():
        return text
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.15g}" if 1e-5 < abs(number) < 1e15 else text
