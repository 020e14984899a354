"""Facts that Chinese sentences say in so many words.

A sentence is about its first words, where these name something; its later clauses are, too, if that is what
the passage is about ("S是…，位于…"). Pronouns and demonstratives are no subjects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from finetune.self_kg.asking import DATE_ZH

Fact = tuple[str, str, str]

_NO_SUBJECT = re.compile(
    r"^(?:[他她它其该此这那本当各每某有另因由从对以而但并及与和或曾又也还均都若如虽则即首同再故]|后来|之后|之前|之一|目前|现在|最|一[些个种]"
    r"|两者|学校$|球队$|公司$|全[线程部]|主要|原本|不过|例如|部分|地理|站[台位]|校[园区]|车站$|总部$|电影$|本|其中)|的"
)
_NO_END = re.compile("[作称成即已也亦曾均共了与和及则]$|同时")
_WORK = re.compile("[于创著编所写]")  # behind a name: it says more than who
_PLAIN = r"[^，。；：、！？（）()的是]"
_CLAUSE = re.compile(r"[^，。；！？]+")
_MAKING = "创建|创立|创办|成立|建立|设计|发明|发现|开发|编写|执导|发行|制作|出版|主办|建造|提出|运营|经营"
_MADE = "成立|创建|创立|创办|建立|始建|建成|落成|开通|启用|通车|创刊|上映|开幕|开业|出版|发行"
_ROLES = (
    "首都|省会|首府|创始人|创办人|作者|导演|父亲|母亲|长子|次子|三子|四子|长女|次女|妻子|丈夫|前身|母公司|"
    "国花|国歌|国鸟|流通货币|法定货币|官方语言|发源地|主席|总统|总理|校长"
)
_MAKER = {
    "小说家": "作者",
    "作家": "作者",
    "漫画家": "作者",
    "推理作家": "作者",
    "歌手": "演唱者",
    "女歌手": "演唱者",
    "男歌手": "演唱者",
}
_ALIASES = {
    "又称": "别名",
    "又名": "别名",
    "也称": "别名",
    "亦称": "别名",
    "别名": "别名",
    "别称": "别名",
    "简称": "简称",
    "全称": "全称",
    "旧称": "旧称",
    "古称": "古称",
    "原名": "原名",
    "本名": "本名",
    "俗称": "俗称",
    "俗名": "俗称",
}
# The subject ends where brackets, a comma or one of the words below begin.
_SUBJECT = re.compile(
    r"^(?P<s>《[^》]{1,30}》|[^，。；：、！？（）()「」《》“”\"\s是为于由在被将]{2,20}?)"
    r"(?=[（(，是为由于在]|位于|坐落|地处|属于|" + f"(?:{_MADE}|出生|逝世|毕业)于|生于|{'|'.join(_ALIASES)})"
    r"(?:（[^（）]{0,80}）|\([^()]{0,80}\))?"
)
_HAN = "[\u3400-\u9fff]"
_LIVING = "的[^，]{0,4}(?:植物|动物|鸟类|鱼类)$"
_MAKERS = "|".join(sorted(_MAKER, key=len, reverse=True))
_OPENING = "^[（(](?:[^（）]{0,40}[，,；;])?"  # of what stands in brackets behind the subject
_CLOSING = r"\s*(?=[）)，,；;])"


def _compiled(patterns: tuple[tuple[str, str], ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((relation, re.compile(pattern)) for relation, pattern in patterns)


# Of a clause. "<" puts the object first: the capital of the object is the subject.
_CLAUSES = _compiled(
    (
        ("位于", f"^(?:位于|坐落于|坐落在|地处)(?P<o>{_PLAIN}{{2,25}})$"),
        ("位于", f"^是(?:一[个座所条间家种])?(?:位于|坐落于|坐落在)(?P<o>{_PLAIN}{{2,25}})的(?=.{{2,20}}$)"),
        (
            "{v}者",
            f"^(?:是)?(?:一[个座所部款种]?)?由(?P<o>(?![在于]){_PLAIN}{{2,18}}?)(?:[于在]{DATE_ZH})?(?P<v>{_MAKING})(?:$|的)",
        ),
        ("{v}于", f"^(?P<v>{_MADE}|出生|逝世|毕业)于(?P<o>{_PLAIN}{{2,20}})$"),
        ("出生于", f"^生于(?P<o>{_PLAIN}{{2,20}})$"),
        ("{v}于", f"^(?:于|在)?(?P<o>{DATE_ZH})(?:正式)?(?P<v>{_MADE})$"),
        ("<{r}", f"^(?:是|为)(?P<o>{_PLAIN}{{2,14}})的(?P<r>{_ROLES})$"),
        ("<{r}", "^(?:是|为)(?P<o>[^，。；的是最第]{2,10})(?P<r>最[大高长早深小]的[^，之的]{1,8})$"),
        ("所属科", f"^(?:是|为)[^，]{{0,12}}?(?P<o>{_HAN}{{1,4}}科)(?:{_HAN}{{1,5}}属)?{_LIVING}"),
        ("所属属", f"^(?:是|为)[^，]{{0,12}}?{_HAN}{{1,4}}科(?P<o>{_HAN}{{1,5}}属){_LIVING}"),
        ("{m}", f"^(?:是|为)[^，]{{0,8}}?(?P<m>{_MAKERS})(?P<o>{_PLAIN}{{2,12}})的[^，的]{{0,12}}$"),
        (
            "{a}",
            f'^(?P<a>{"|".join(_ALIASES)})(?:为|是|作)?[「“"]?'
            '(?P<o>(?![称为是叫])[^，。；「」“”"（）()、或和及等]{2,15})[」”"]?$',
        ),
    )
)
_LABELS = _compiled(
    (
        ("英文名称", rf"{_OPENING}英[语文][：:]\s*(?P<o>[A-Za-z][A-Za-z0-9 .,'&-]{{1,60}}?){_CLOSING}"),
        ("学名", rf"{_OPENING}学名[：:]\s*(?P<o>[A-Z][a-z]+(?: [a-z.]+){{0,3}}){_CLOSING}"),
        ("简称", rf"{_OPENING}简称(?:为|是)?[：:]?\s*(?P<o>[^（）()，、；：或]{{2,12}})(?=[）)])"),
    )
)


def facts(sentence: str, title: str) -> Iterator[Fact]:
    """The facts of one sentence; `title` is what its passage is about, "" where unknown."""
    sentence = sentence.rstrip("。！？ ")
    head = _SUBJECT.match(sentence)
    if head is None or _NO_SUBJECT.search(head["s"]):
        return
    subject = _named(head["s"], title)
    if not subject:
        return
    for relation, pattern in _LABELS:
        label = pattern.match(sentence[head.end("s") :])
        if label:
            yield subject, relation, label["o"]
    about_title = subject.strip("《》") == title
    opens = sentence[head.end() : head.end() + 1] in ("是", "为", "，")
    for clause in _CLAUSE.finditer(sentence, head.end()):
        first = clause.start() == head.end()
        if first or (about_title and opens):
            yield from _clause(subject, clause[0])


def _named(subject: str, title: str) -> str:
    """The subject where it is a name, "" where it may be a word for one ("校舍", "新民校区").

    It is what the passage is about (then it is said in full), or long, foreign or a title of a work.
    """
    bare = subject.strip("《》")
    if _NO_END.search(subject):
        return ""
    if title and (title.startswith(bare) or title.endswith(bare)):
        return subject if subject != bare else re.sub(r" \([^()]*\)$", "", title)
    known = bare != subject or len(bare) >= 6 or re.search("[A-Za-z·]", bare) or (title and title in bare)
    return subject if known or (not title and len(bare) >= 3) else ""


def _clause(subject: str, clause: str) -> Iterator[Fact]:
    for relation, pattern in _CLAUSES:
        found = pattern.match(clause)
        if (
            found is None
            or _NO_SUBJECT.search(found["o"])
            or (relation == "{m}" and _WORK.search(found["o"]))
        ):
            continue
        groups = found.groupdict()
        name = relation.lstrip("<").format(
            v=groups.get("v"),
            r=groups.get("r"),
            m=_MAKER.get(groups.get("m") or "", ""),
            a=_ALIASES.get(groups.get("a") or "", ""),
        )
        yield (found["o"], name, subject) if relation.startswith("<") else (subject, name, found["o"])
        return
