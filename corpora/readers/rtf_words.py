"""The control words of RTF 1.9.1 that matter for text, and the code pages of its fonts."""

from __future__ import annotations

SIGNS = {
    "tab": "\t", "line": "\n", "softline": "\n", "emdash": "—", "endash": "–", "emspace": " ", "enspace": " ",
    "qmspace": " ", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
    "zwj": "\u200d", "zwnj": "\u200c", "ltrmark": "", "rtlmark": "",
}  # fmt: skip
"""Control words that stand for a character."""

SILENT = frozenset(
    """
    colortbl info pict objdata objclass objname header headerl headerr headerf footer footerl
    footerr footerf ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn fldinst datafield formfield
    nonshppict shprslt sp sn sv xe tc rxe txe bkmkstart bkmkend listtable listoverridetable
    listlevel revtbl rsidtbl generator filetbl template themedata colorschememapping datastore
    latentstyles pgptbl xmlnstbl wgrffmtfilter annotation atnid atnauthor atnref atndate atntime
    atnparent atnicn pnseclvl userprops passwordhash protusertbl mmathPr docvar private fchars
    lchars background blipuid picprop panose falt fontemb
    """.split()
)
"""Destinations that hold no text of the document."""

SPOKEN = frozenset(
    {"shpinst", "shptxt", "ud", "listtext", "pntext", "footnote", "stylesheet", "fonttbl", "cs", "ds", "ts"}
)
"""Destinations marked as optional (\\*) that are read all the same."""

FONT_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250", 255: "cp850",
}  # fmt: skip
"""\\fcharset to a Python codec; 0 and 1 mean the document's own code page."""

CHARACTER_SETS = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}


def code_page(number: int) -> str | None:
    """The Python codec of a Windows code page, None where there is none."""
    known = {936: "gb18030", 65001: "utf-8", 10000: "mac_roman", 1361: "johab", 0: "cp1252", 42: "cp1252"}
    name = known.get(number, f"cp{number}")
    try:
        "".encode(name)
    except LookupError:
        return None
    return name
