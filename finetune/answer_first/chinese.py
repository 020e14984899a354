"""Chinese questions by rule: the answer's place in the sentence takes the question word (谁, 哪一年, 多少…).

A Chinese question keeps the order of its statement, so that no grammar is needed but the clause around the
answer. Only dates, numbers, titles, places and a few kinds of names are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from corpora.records import Passage
from finetune.answer_first.asked import Asked
from index.evidence.sentences import sentences

SHORTEST, LONGEST = 12, 160  # characters of a sentence
_MOST_ASKED = 60  # characters of a question
_DIGITS = r"[0-9０-９]"
_YEAR = rf"(?:公元)?(?:前)?{_DIGITS}{{3,4}}年"
_DATE = rf"{_YEAR}(?:{_DIGITS}{{1,2}}月(?:{_DIGITS}{{1,2}}日)?)?"
_AMOUNT = rf"{_DIGITS}+(?:[,，.．]{_DIGITS}+)*(?:多|余|餘)?(?:[十百千万萬亿億]+)?(?:多|余|餘)?"
_MEASURES = (
    "平方公里|平方千米|平方米|立方米|公里|千米|公尺|厘米|毫米|英里|公斤|千克|公顷|公頃|美元|港元|欧元|歐元|日元|人民币|元|"
    "吨|噸|米|人|个|個|名|位|座|家|部|集|次|场|場|所|间|間|种|種|艘|辆|輛|架|条|條|届|屆|首|枚|张|張|岁|歲|年|个月|天|小时|"
    "分钟|分鐘|秒|层|層|站|户|戶|票|支|只|隻|本|册|項|项|颗|顆|户|席|幅|万人"
)
_NAME = r"[\u4e00-\u9fffA-Za-z0-9·•・．\-]"
_REFERS = re.compile(
    r"[他她它牠祂]|其(?!中|他|它|实|實|余|餘|次)|该|該|此(?!外)|这|這|那|本(?:片|剧|劇|书|書|作|车站|車站|站|校|集|曲|赛|賽|届|屆|区|區|镇|鎮|种|種|品|文|节|節|章|队|隊|线|線|寺|馆|館|院|公司|专辑|專輯)|"
    r"上述|以上|以下|如下|前者|后者|後者|同年|同月|同日|当时|當時|次年|翌年|当年|當年|随后|隨後|之后|之後|后来|後來|此后|此後|目前|现时|現時|现在|現在|今年|去年|我|你|您|咱|两者|兩者|两人|兩人|二人|"
    r"当中|當中|另一|另外|其中|分别|分別|有关|有關|双方|雙方"
)
_OPENER = re.compile(
    r"^(?:因此|所以|不过|不過|但是|但|然而|而且|而|并且|並且|并|並|此外|另外|同时|同時|于是|於是|例如|由于|由於|虽然|雖然|可是|另|且|后|後|又|也|还|還)[，,]?"
)
_BREAK = re.compile(r"[，,；;：:。！？!?]")
_UNREADABLE = re.compile(r"[|<>{}\\=#*`\[\]\x00-\x08\x0b-\x1f\x7f\ufffd]|https?:|\n")
_FRAGMENT = re.compile(r"[（(]？|(?<![于於在])(?:什么时候|哪一年)？$|[中时後后時]？$")
_BRACKETS = re.compile(r"（[^（）]{0,80}）|\([^()]{0,80}\)")
_FROM = "于於在自从從到至"
_PAIRS = ("（）", "()", "《》", "“”", "「」")
_NO_DATE = frozenset("至到-–—－~～代间間度的后後前以起初底末中版、和与及與或内內")
_NO_AMOUNT = frozenset("第至到-–—－~～、及和与與月年日")
_COUNTED = re.compile(rf"(?<![\d０-９.．A-Za-z:：/]){_AMOUNT}(?P<measure>{_MEASURES})(?![0-9])")
_WORKS = {
    noun: measure
    for measure, nouns in {
        "部": "小说 小說 电影 電影 电视剧 電視劇 动画 動畫 漫画 漫畫 纪录片 紀錄片 诗集 著作",
        "张": "专辑",
        "張": "專輯",
        "首": "歌曲 单曲 單曲",
        "本": "杂志 雜誌",
        "款": "游戏 遊戲",
    }.items()
    for noun in nouns.split()
}
_AGENT = re.compile(
    r"由(?P<who>[\u4e00-\u9fff]{2,4}|[\u4e00-\u9fff·•・]{4,14}?)(?:所)?(?=创作|創作|设计|設計|执导|執導|导演|導演|创办|創辦|创立|創立|"
    r"建立|发明|發明|提出|主演|编写|編寫|撰写|撰寫|发现|發現|主持|作曲|作词|作詞|饰演|飾演|命名|改编|改編|担任|擔任|出任|制作|製作)"
)
_LOCATED = re.compile(
    r"(?:位于|位於|坐落于|坐落於|坐落在|出生于|出生於|生于|生於|总部设在|總部設在|就读于|就讀於|毕业于|畢業於)"
    rf"(?P<where>{_NAME}{{2,24}})$"
)
_DEFINED = re.compile(
    rf"(?P<term>{_NAME}{{2,16}}?)是(?P<what>一[种種个個位名家座部所条條项項间間款类類支][^，]{{4,40}})$"
)


@dataclass(frozen=True, slots=True)
class ChineseSource:
    """A usable sentence: `text == passage.text[start:start+len(text)]`."""

    passage: Passage
    text: str
    start: int


def chinese_sources(passage: Passage) -> list[ChineseSource]:
    """The sentences of a Chinese passage that a question can be made from, in order."""
    found = []
    for span in sentences(passage.text):
        text = passage.text[span.start : span.end]
        if not SHORTEST <= len(text) <= LONGEST or text[-1] not in "。" or _UNREADABLE.search(text):
            continue
        if any(text.count(a) != text.count(b) for a, b in ("《》", "（）", "“”", "()", "「」")):
            continue
        found.append(ChineseSource(passage, text, span.start))
    return found


def chinese_questions(source: ChineseSource) -> list[Asked]:
    """The questions that the rules make of one sentence, best first."""
    topic = topic_name(source.passage)
    kept: dict[tuple[int, int], Asked] = {}
    for one in _made(source, topic):
        answer = source.passage.text[one.start : one.end]
        if (
            answer in one.question
            or _FRAGMENT.search(one.question)
            or _REFERS.search(one.question)
            or not 8 <= len(one.question) <= _MOST_ASKED
        ):
            continue
        if any(
            one.question.count(a) != one.question.count(b) for a, b in ("《》", "“”", "「」", "（）", "()")
        ):
            continue
        kept.setdefault((one.start, one.end), one)
    return sorted(kept.values(), key=lambda one: (-one.weight, one.start))


def topic_name(passage: Passage) -> str:
    """The title of the document, without what stands in brackets behind it."""
    title = (passage.heading or "").split(" > ")[0].strip() or PurePosixPath(passage.path).stem.replace(
        "_", " "
    )
    return _BRACKETS.sub("", re.sub(r"[ _]*\([^)]*\)$", "", title)).strip()


def _made(source: ChineseSource, topic: str) -> Iterator[Asked]:
    for start, end in _clauses(source.text):
        clause = source.text[start:end]
        subject = _subject(source.text, start, clause, topic)
        if subject is None:
            continue
        for one in _spans(clause):
            before, after = _clean(clause[: one.left - one.eats]), _clean(clause[one.right :])
            if len(before) + len(after) < 4 or not _outside_brackets(clause, one.left):
                continue
            line = f"{subject}{before}{one.word}{after}？"
            at = source.start + start
            yield Asked(
                line, at + one.left, at + one.right, one.pattern, round(one.weight - 0.1 * bool(subject), 3)
            )


def _outside_brackets(clause: str, at: int) -> bool:
    return all(clause[:at].count(pair[0]) == clause[:at].count(pair[1]) for pair in _PAIRS)


def _clean(part: str) -> str:
    return _BRACKETS.sub("", part).strip("，, ")


def _clauses(text: str) -> Iterator[tuple[int, int]]:
    """Each clause with the one before where that only gives the time or the place."""
    start = 0
    for found in _BREAK.finditer(text):
        if found[0] in "，," and _only_lead(text[start : found.start()]):
            continue  # "2007年4月28日，…": the date belongs to what follows
        opened = _OPENER.match(text[start : found.start()])
        begin = start + (opened.end() if opened else 0)
        if found.start() - begin >= 6:
            yield begin, found.start()
        start = found.end()


def _only_lead(part: str) -> bool:
    return bool(re.fullmatch(rf"(?:[{_FROM}])?{_DATE}(?:起|后|後|前|间|間|时|時|初|底|末)?", part))


_STARTS_VERB = re.compile(
    rf"(?:[{_FROM}])?(?:{_DATE})?[，,]?(?:于|於|在|由|被|是|为|為|位于|位於|有|共|全长|全長|获|獲|成立|建成|建立|建于|建於|创|創|"
    r"开播|開播|开通|開通|开业|開業|出生|出版|出任|出身|毕业|畢業|担任|擔任|曾|以|从|從|将|將|已|开始|開始|面积|面積|人口|长约|長約|高约|高約|"
    r"总|總|设有|設有|分为|分為|含|包括|至|属|屬|隶属|隸屬|首播|首映|首次|改编|改編|改名|正式|主要|海拔|占地|佔地|当选|當選|就读|就讀|"
    r"参加|參加|参与|參與|发行|發行|上映|上市|逝世|去世|入选|入選)"
)


def _subject(text: str, start: int, clause: str, topic: str) -> str | None:
    """What to put in front of a clause: the topic where it has no subject, "" where it speaks of it."""
    if not topic or _REFERS.match(clause):
        return None
    if topic in clause or (len(clause) > 1 and clause[:2] in topic):
        return ""
    if _STARTS_VERB.match(clause):
        return topic
    return f"关于{topic}，" if start == 0 or text[start - 1] in "。；;" else None


@dataclass(frozen=True, slots=True)
class _Gap:
    """[left, right) of a clause is the answer; `word` stands for it and for `eats` characters before it."""

    left: int
    right: int
    word: str
    pattern: str
    weight: float
    eats: int = 0


def _spans(clause: str) -> Iterator[_Gap]:
    """The places of a clause that can be asked for, each with its question word."""
    yield from _dates(clause)
    yield from _amounts(clause)
    yield from _titles(clause)
    yield from _agents(clause)
    yield from _places(clause)
    yield from _definitions(clause)


def _dates(clause: str) -> Iterator[_Gap]:
    for found in re.finditer(_DATE, clause):
        before, after = clause[: found.start()], clause[found.end() :]
        if (
            (before and before[-1] not in _FROM)
            or after[:1] in _NO_DATE
            or len(re.findall(_YEAR, clause)) > 1
        ):
            continue
        if len(after) < 3 and not re.search(r"[建立生成始办辦现現创創设設通业業版映播]于?於?$", before):
            continue
        yield _Gap(
            found.start(), found.end(), "哪一年" if found[0].endswith("年") else "什么时候", "date", 0.9
        )


def _amounts(clause: str) -> Iterator[_Gap]:
    for found in _COUNTED.finditer(clause):
        before, after, measure = clause[: found.start()], clause[found.end() :], found["measure"]
        if before[-1:] in _NO_AMOUNT or after[:1] in _NO_DATE:
            continue
        if (
            measure in ("年", "天", "个月", "小时", "分钟", "分鐘", "秒")
            and before[-1:] not in "达達共任长長满滿仅僅近约約为為了期历歷"
        ):
            continue
        if not before or "、" in before or "、" in after or before[-1:] in "正":
            continue
        yield _Gap(found.start(), found.end(), f"多少{measure}", "amount", 0.85)


def _titles(clause: str) -> Iterator[_Gap]:
    marks = list(re.finditer(r"《[^《》]{1,30}》", clause))
    if len(marks) != 1 or clause[marks[0].end() :][:1] in ("中", "的", "里", ""):
        return
    found = marks[0]
    for noun, measure in _WORKS.items():
        before = clause[: found.start()]
        if before.endswith(noun) and before[: -len(noun)][-1:] in "年的以在过過于於演导導了著写寫出作拍":
            yield _Gap(found.start(), found.end(), f"哪{measure}{noun}", "title", 0.7, len(noun))
            return


def _agents(clause: str) -> Iterator[_Gap]:
    found = _AGENT.search(clause)
    if found and not re.search(r"[、和与與及等的]", found["who"]):
        yield _Gap(*found.span("who"), "谁", "agent", 0.85)


def _places(clause: str) -> Iterator[_Gap]:
    found = _LOCATED.search(clause)
    if not found or re.search(r"[0-9]年|[他她它其该該此这這的]", found["where"]):
        return
    school = found[0][0] in "就毕畢"
    yield _Gap(*found.span("where"), "哪所学校" if school else "哪里", "place", 0.85)


def _definitions(clause: str) -> Iterator[_Gap]:
    found = _DEFINED.match(clause)
    if found and not _REFERS.search(found["term"]):
        yield _Gap(*found.span("what"), "什么", "definition", 0.7)
