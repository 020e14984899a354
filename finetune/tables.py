"""Questions about the cells of tables, by template: "What is the {column} of {row}?".

A row is named by the cell of its key column, the first one whose cells are names and differ. Rows whose key
comes twice, and columns that hold identifiers, addresses or long text, are left out.
"""

from __future__ import annotations

import random
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from corpora.prompt import Language, language_of
from corpora.records import Passage
from finetune.candidates import Candidate, Claimed
from finetune.self_kg.chinese import in_chinese
from finetune.self_kg.forms import lemma
from finetune.table_rows import Table, TableRow, is_number, tables

VERSION = "tables-1"
_PER_ROW = 2
_PER_PASSAGE = 8
_CACHED = 16  # documents whose tables are kept
_LONGEST_ANSWER = 100  # characters
_LONGEST_KEY = 60
_NAMES = re.compile(
    r"(?:full[ _]?)?name|title|product|team|country|city|company|feature|category|"
    r"项目|名称|姓名|名字|产品|公司|国家|城市|功能|类别",
    re.IGNORECASE,
)
_PERIODS = re.compile(r"year|month|quarter|年份|年度|年|月份|季度", re.IGNORECASE)
_DULL = re.compile(  # columns that nobody asks about
    r"#|no\.?|nr\.?|index|(?:\w+[ _])?(?:id|uuid|guid|key)|row|label|:\w+|e-?mail|phone.*|fax|url|website|"
    r"link.*|image|notes?|comments?|extra|序号|编号|邮箱|电话|网址|备注",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?:col(?:umn)?|header|field|unnamed|row|cell|tab|value|列|字段)?[\s._:-]*[a-z]?[\d.]*", re.IGNORECASE
)
_GENERIC = re.compile(r"(?:sheet|page|slide|table|untitled|header|工作表)[\s\d]*", re.IGNORECASE)
_TOTAL = re.compile(r"(?:grand |sub)?total.*|sum|average|mean|合计|总计|小计|平均", re.IGNORECASE)
_OPAQUE = re.compile(
    r"\S+@\S+|https?://\S+|www\.\S+|(?=[\w-]*\d)[\w-]{12,}|[-–—?.*/✓✗xX]+|n/?a|nan|none|null|无",
    re.IGNORECASE,
)
_BOXES = re.compile(
    r"(?:是否|有无|能否|可否|is|has|can|are|does)\b.*|(?:是否|有无|能否|可否).*", re.IGNORECASE
)
_PROPER = frozenset("english german french italian spanish chinese japanese russian latin greek".split())
_WORDY = re.compile(r"[A-Za-z\u3400-\u9fff][\w \u3400-\u9fff/&%()'’.-]*")


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows of a table are asked about: by which columns, `keys`, and for which, `asked`."""

    keys: tuple[int, ...]
    asked: tuple[int, ...]
    repeated: frozenset[str]
    period: bool


class TableQA:
    """Writes questions about the rows of tables. `text_of` gives a document's text by its id."""

    name = "tables"

    def __init__(self, text_of: Callable[[str], str], seed: int = 0) -> None:
        self._text_of = text_of
        self._seed = seed
        self._known: OrderedDict[str, list[tuple[Table, _Plan]]] = OrderedDict()

    def write(self, passages: Sequence[Passage]) -> list[list[Candidate]]:
        """The candidates of each passage: a few of each row that lies in it, the rows in turn."""
        return [self._about(passage) for passage in passages]

    def _about(self, passage: Passage) -> list[Candidate]:
        found: list[Candidate] = []
        for table, plan in self._tables(passage):
            for row in table.rows:
                if passage.start <= row.start and row.end <= passage.end:
                    found += self._row(passage, table, plan, row)
        draw = random.Random(f"{self._seed}:{passage.id}:tables")  # noqa: S311
        draw.shuffle(found)
        return found[:_PER_PASSAGE]

    def _tables(self, passage: Passage) -> list[tuple[Table, _Plan]]:
        known = self._known.get(passage.document_id)
        if known is None:
            text = self._text_of(passage.document_id)
            planned = ((table, _plan(table)) for table in tables(text, passage.kind))
            known = [(table, plan) for table, plan in planned if plan is not None]
            self._known[passage.document_id] = known
            if len(self._known) > _CACHED:
                self._known.popitem(last=False)
        return known

    def _row(self, passage: Passage, table: Table, plan: _Plan, row: TableRow) -> list[Candidate]:
        start = row.start - passage.start
        text = passage.text[start : start + row.end - row.start]
        key = _key(row, plan)
        if not _good_key(key) or key in plan.repeated or any(row.cells[at] not in text for at in plan.keys):
            return []
        columns = [at for at in plan.asked if _good_answer(row.cells[at], key) and row.cells[at] in text]
        draw = random.Random(f"{self._seed}:{passage.id}:{row.start}")  # noqa: S311
        columns = sorted(draw.sample(columns, min(_PER_ROW, len(columns))))
        found: list[Candidate] = []
        for at in columns:
            asked = _question(table, plan, key, at, row.cells[at], _context(passage))
            if asked is not None:
                claimed = (Claimed(passage, text, start),)
                found.append(_candidate(asked[0], asked[1], row.cells[at], claimed))
        return found


def _candidate(language: Language, question: str, answer: str, claimed: tuple[Claimed, ...]) -> Candidate:
    return Candidate("self-qa", "table", language, question, answer, claimed, "rules", VERSION, order=0.6)


# -- what to ask about -------------------------------------------------------------------------------


def _plan(table: Table) -> _Plan | None:
    """The key and the other columns worth asking for; None where no column names the rows."""
    keys, period = _key_columns(table)
    if not keys:
        return None
    asked = tuple(
        at
        for at, name in enumerate(table.header)
        if at not in keys
        and _WORDY.fullmatch(name)
        and not _DULL.fullmatch(name)
        and not _PLACEHOLDER.fullmatch(name)
        and not _BOXES.fullmatch(name)
    )
    counts = Counter(_key(row, _Plan(keys, (), frozenset(), period)) for row in table.rows)
    repeated = frozenset(key for key, times in counts.items() if times > 1)
    return _Plan(keys, asked, repeated, period) if asked else None


def _key_columns(table: Table) -> tuple[tuple[int, ...], bool]:
    """The columns that name a row, and whether they are periods of time."""
    names = [name.casefold().replace("_", " ") for name in table.header]
    if "first name" in names and "last name" in names:
        return (names.index("first name"), names.index("last name")), False
    order = sorted(range(len(names)), key=lambda at: (_NAMES.fullmatch(names[at]) is None, at))
    for at in order:
        cells = [row.cells[at] for row in table.rows]
        if not _DULL.fullmatch(names[at]) and _names_rows(cells) and (names[at] or at == 0):
            return (at,), _PERIODS.fullmatch(names[at]) is not None
    if _PERIODS.fullmatch(names[0]) and len({row.cells[0] for row in table.rows}) == len(table.rows):
        return (0,), True
    return (), False


def _names_rows(cells: Sequence[str]) -> bool:
    named = sum(_good_key(cell) for cell in cells)
    return named >= 0.8 * len(cells) and len(set(cells)) >= 0.8 * len(cells)


def _key(row: TableRow, plan: _Plan) -> str:
    return " ".join(row.cells[at] for at in plan.keys)


def _good_key(cell: str) -> bool:
    if re.fullmatch(r"(?:1[5-9]|20)\d\d", cell):
        return True
    if (
        not 2 <= len(cell) <= _LONGEST_KEY
        or is_number(cell)
        or _OPAQUE.fullmatch(cell)
        or _TOTAL.fullmatch(cell)
    ):
        return False
    return len(cell.split()) <= 7 and re.search("[`{}<>=;|\\\\]", cell) is None


def _good_answer(cell: str, key: str) -> bool:
    return (
        bool(cell)
        and "`" not in cell
        and len(cell) <= _LONGEST_ANSWER
        and not _OPAQUE.fullmatch(cell)
        and cell.casefold() not in key.casefold()
    )


# -- how to ask --------------------------------------------------------------------------------------


def _question(
    table: Table, plan: _Plan, key: str, column: int, cell: str, context: str
) -> tuple[Language, str] | None:
    """The question for a cell, in the language of the column's name; None where it would read badly."""
    name = table.header[column].replace("_", " ").strip()
    if plan.period and not context:
        return None
    if language_of(name) == "zh" or language_of(key) == "zh":
        name = name if language_of(name) == "zh" else in_chinese(name)
        if not name:
            return None
        where = f"在“{context}”中，" if context else ""
        return "zh", f"{where}{key}的{name}是{'多少' if is_number(cell) else '什么'}？"
    phrase = _english(name, cell)
    if phrase is None:
        return None
    if plan.period:
        asked = (
            f"{phrase} for {table.header[plan.keys[0]].lower()} {key}"
            if key.isdigit()
            else f"{phrase} for {key}"
        )
    else:
        asked = f"{phrase} {'for' if phrase.startswith('how') else 'of'} {key}"
    where = f"In “{context}”, " if context else ""
    asked = f"{where}{asked}?"
    return "en", asked[0].upper() + asked[1:]


def _english(column: str, cell: str) -> str | None:
    words = re.sub(r"\s*\([^()]*\)$", "", column).split()
    if not words or len(words) > 5 or column.endswith("?"):
        return None
    last = words[-1]
    if not (last.isupper() or _is_noun(last.casefold())):
        return None
    shown = " ".join(
        word.lower() if word.istitle() and word.lower() not in _PROPER else word for word in column.split()
    )
    if _is_plural(last.casefold()):
        return (
            f"how many {shown} are given"
            if re.fullmatch(r"[\d,]+(?:\.0)?", cell)
            else f"what are the {shown}"
        )
    return f"what is the {shown}"


def _context(passage: Passage) -> str:
    """What the table is in, for the question: its heading, where that says something."""
    if passage.kind in ("csv", "json", "jsonl"):  # their heading is the names of the columns
        stem = PurePosixPath(passage.path).stem.replace("_", " ").replace("-", " ")
        return stem if len(stem.split()) > 1 and not re.search(r"\d{3}|csv|test|sample", stem) else ""
    heading = (passage.heading or "").split(" > ")[-1].strip(" :：")
    return "" if len(heading) > 80 or _GENERIC.fullmatch(heading) else heading


def _is_noun(word: str) -> bool:
    return not lemma(word) or bool(lemma(word, "NOUN"))


def _is_plural(word: str) -> bool:
    return lemma(word, "NOUN") not in ("", word)
