"""Chinese follow-ups resolved by rules: 它的、他、这座城市、"那乙呢？", and questions without a subject.

Words are not cut; a question's subject is what stands before its first linking word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.chat.rewriting.history import Said

_OPENING = re.compile(
    r"^(?:请问|那么|那(?![里儿个些座场位名部本项次家所条首种款件届])|然后|接着|还有|另外|而且|所以|对了|嗯|好的?)?[，,、\s]*(?:请问)?"
)
_ABOUT = re.compile(r"^(?:关于|对于|根据|按照|据|在|当|由|从)")
_ASKING = (
    "什么时候|什么|哪一年|哪年|哪里|哪儿|哪|谁|何时|何地|何处|为何|何|为什么|怎么样|怎么|怎样|如何|多少|多大|多高|多长|多久|"
    "多远|多深|多宽|多重|几|是否|有没有|能否|多"
)
_HAPPENED = (
    "发生|出现|成立|建成|建立|建造|创立|创办|创建|签订|签署|举行|举办|召开|开始|结束|开通|通车|启用|出版|发行|播出|上映|出生|"
    "去世|逝世|诞生|毕业|退役|登基|即位|称王"
)
_LINK = re.compile(
    r"(?:发现|发明|建造|创作|创立|设计|出版|参加|获得|拥有)?[了过]|[写做说讲打拍唱演教赢输]了|"
    rf"(?:一共|总共|目前|现在|最早|最初|最后|主要|通常|一般|曾经|曾|共|又|被|由|属于|位于|来自|因为?|以)?"
    rf"(?:{_ASKING}|{_HAPPENED}|是|有|在|于|位于|属于|来自|被|由|会|能|可以|需要|包括|采用|使用|获得|担任|离|距)"
)
_WHO = re.compile(r"谁|哪位|哪个人|什么人|何人|哪名")
_SUBJECTLESS = re.compile(
    rf"^(?:(?:一共|总共|目前|现在|最早|最初|最后|后来|原来|原先|原本|当时|主要|通常|曾经|曾|共|又|还|也|都|分别|具体|大约|大概)*)"
    rf"(?:{_ASKING}|是在|是由|是从|是被|是否|是什么|有什么|有哪|有多|有几|位于|属于|来自|由谁|被谁|在哪|于何|因何|叫|称为)"
)
# What everything of a kind has one of: alone, it belongs to what was spoken of.
_RELATED = (
    "人口|面积|首都|首府|省会|总部|作者|导演|主角|编剧|校长|校训|创始人|创办人|负责人|董事长|总裁|市长|县长|原因|结果|影响|"
    "意义|目的|特点|特征|用途|作用|功能|成分|性质|结构|长度|高度|宽度|深度|重量|体长|全长|价格|速度|时间|日期|地点|位置|"
    "尾巴|翅膀|叶子|果实|眼睛|牙齿|舌头|皮肤|起源|历史|背景|别名|别称|英文名|中文名|全名|名字|父亲|母亲|妻子|丈夫|儿子|女儿|哥哥|弟弟|出生地|国籍|职业|学历|"
    "代表作|主题曲|票房|观众|成员|队员|教练|主场|产量|分布|气候|语言|货币|官方语言|前身|邻居|终点|起点|颜色|味道|"
    "分子式|化学式|沸点|熔点|密度|冠军|亚军|比分|得分|胜者|参赛者|规模|年代|时长"
)
_RELATION = re.compile(rf"^(?:{_RELATED})(?:和(?:{_RELATED}))?(?:呢|是|有|在|为|怎|如何|多|大约|[？?]|$)")
_PRONOUN = re.compile(
    r"(?P<person>他们|她们|他|她)(?!国|人|乡|山|的士)|(?P<thing>它们|它|(?<![尤极何与])其(?![他它中实余次间二三一]))"
    r"|(?P<here>那里|那儿|这里|这儿|当地|该地|此地)"
    r"|(?P<that>(?:这|那|该|此)(?:些|个|种|座|场|位|名|部|本|项|次|家|所|条|首|篇|款|件|届|支|只|艘|架|栋|国|校|市|县|省|片|书|剧|公司|组织|"
    r"机构|战役|事件|条约)|该(?=[\u4e00-\u9fff]{2}))"
)
_NOT_PRONOUN = re.compile(
    r"应该|该死|本该|活该|因此|从此|如此|此外|彼此|其他|其它|其中|其实|其余|尤其|吉他|他们国"
)
_MEASURED = re.compile(r"(?:[积长高宽深重量速度口点]|价格|票房|面积|产量|时长|速度)$")
_OTHER = re.compile(
    r"^(?:那么?|还有|而)?[，,]?(?P<other>[^，,？?。]{1,20}?)(?:呢|又如何|又怎么样|怎么样)[？?。]?$"
)
_BARE = re.compile(
    rf"^(?:是|在|又是|那)?(?:{_ASKING})(?:时候|年|月|地方|人|个|呢|了|的|吗|会这样|这样|如此)*[？?]?$"
)
_TIME = re.compile(r"(?:公元前?)?(?:\d{1,4}|[一二三四五六七八九〇零十]{2,4})年(?:\d{1,2}月)?(?:\d{1,2}日)?")
_FUNCTION = re.compile(rf"{_ASKING}|[是有在的了吗叫呢那么请问而与和由被为于又还也都曾]")
_DESCRIBED = re.compile(r"(?:谁是(?P<after>[^？?]{2,24})|(?P<before>[^？?]{2,24}?)是谁)[？?]?$")
_LONGEST = 24  # characters of a subject
_GENERAL_LETTERS = 4  # a question without a subject has no more letters of its own


def surely_alone(question: str) -> bool:
    """Whether nothing in the question can point to an earlier one."""
    if re.match(r"那|还有|而|然后|另外", question) or _pronoun(question) or _SUBJECTLESS.match(question):
        return False
    return len(question) >= 10 and not _RELATION.match(question) and subject(question) is not None


def resolved(question: str, said: Sequence[Said]) -> str:
    """The question as it stands alone; itself where no rule finds something missing."""
    plain = "".join(question.split()) if not re.search(r"[A-Za-z]", question) else question.strip()
    last = said[-1]
    again = _repeated(plain, last)
    if again is not None:
        return again
    opened = _OPENING.sub("", plain, count=1) or plain
    found = _pronoun(opened)
    if found is not None:
        return _replaced(opened, found, said) or question
    if _BARE.match(opened):
        return f"{opened.rstrip('？?')}？（{last.question}）"
    if _RELATION.match(opened):
        about = _topic(said)
        return question if about is None else f"{about}的{opened}"
    if _SUBJECTLESS.match(opened) and _own_letters(opened) <= _GENERAL_LETTERS:
        about = _topic(said)
        return question if about is None else f"{about}{opened}"
    if re.search(r"也|还[能可有会]", opened) and (about := _topic(said)) is not None:
        return f"{opened.rstrip('？?')}（{about}）？"
    return question


def subject(question: str) -> str | None:
    """What a question is about: the words before its first link, or the object of "谁建造了X"."""
    plain = _ABOUT.sub("", _OPENING.sub("", question.strip(), count=1), count=1)
    title = re.search(r"《[^》]{1,30}》", plain)
    if title:
        return title[0]
    for link in _LINK.finditer(plain):
        if link.start() >= 2:
            return _without_relation(plain[: link.start()])
        if re.match(_ASKING, plain) and link.start() == 0:  # it begins with the word that asks
            rest = re.split(r"[了过]|是|于|在", plain[link.end() :], maxsplit=1)
            return _without_relation(rest[-1])
    return _without_relation(plain)


def _without_relation(words: str) -> str | None:
    """ "巴伐利亚" of "巴伐利亚的人口"; "布兰诺克的灯塔" stays whole."""
    owner = re.fullmatch(rf"(.{{2,}}?)的(?:{_RELATED})", words)
    return _named(owner[1] if owner else words)


def _named(words: str) -> str | None:
    words = re.sub(r"[，,].*$", "", words.rstrip("？?。！ ")).strip("“”\"'，, ")
    words = re.split(r"的", words)[0] if len(words) > _LONGEST else words
    return words if 2 <= len(words) <= _LONGEST and not re.fullmatch(_FUNCTION, words) else None


def _topic(said: Sequence[Said]) -> str | None:
    return next((found for one in reversed(said) if (found := subject(one.question))), None)


def _repeated(question: str, last: Said) -> str | None:
    """ "那乙呢？": the last question, of another thing or another time."""
    found = _OTHER.match(question)
    if found is None or _pronoun(found["other"]):
        return None
    other, about = found["other"].strip(), subject(last.question)
    if re.fullmatch(_ASKING, other):
        return None
    if _TIME.fullmatch(other):
        changed = _TIME.sub(other, last.question, count=1)
        return changed if changed != last.question else f"{other}{last.question}"
    if re.fullmatch(_RELATED, other):
        return (
            None if about is None else f"{about}的{other}是{'多少' if _MEASURED.search(other) else '什么'}？"
        )
    if about is None:
        return None
    if "的" in last.question or re.match(_ASKING, last.question):
        return last.question.replace(about, other, 1)
    return f"{last.question.rstrip('？?')}（{other}）？"


def _pronoun(question: str) -> re.Match[str] | None:
    """The first pronoun that the question itself does not explain."""
    masked = _NOT_PRONOUN.sub(lambda found: "〇" * len(found[0]), question)
    for found in _PRONOUN.finditer(masked):
        before = _FUNCTION.sub("", masked[: found.start()])
        owns = masked[found.end() : found.end() + 1] == "的" or found[0] == "其"
        if len(before) < 2 or not (owns or "，" in masked[: found.start()]):
            return found
    return None


def _replaced(question: str, found: re.Match[str], said: Sequence[Said]) -> str | None:
    about = _person(said) if found["person"] else _topic(said)
    if about is None:
        return None
    head, tail = question[: found.start()], question[found.end() :]
    if found["that"] is None:
        placed = found["here"] and head and head[-1] not in "在过到去来离从向往"
        return f"{head}{'在' if placed else ''}{about}{tail}"
    word = found["that"]
    word = "" if word[0] in "该此" else word  # "这座城市" may stand behind the name, "该市" may not
    return f"{head}{about}{word}{tail}"


def _person(said: Sequence[Said]) -> str | None:
    for one in reversed(said):
        answer = one.short_answer.strip("。，, ")
        if _WHO.search(one.question):
            if 2 <= len(answer) <= 12:
                return answer
            described = _DESCRIBED.match(_OPENING.sub("", one.question, count=1))
            if described:
                return described["after"] or described["before"]
        about = subject(one.question)
        if about is not None:
            return about.split("的")[0] if len(about.split("的")[0]) >= 2 else about
    return None


def _own_letters(question: str) -> int:
    return len(re.sub(r"\W|名字|原[来先本]|当时|后来|最[早初后]", "", _FUNCTION.sub("", question)))
