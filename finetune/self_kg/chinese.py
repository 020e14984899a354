"""Relations in Chinese: questions for Chinese names of relations, and for common English ones."""

from __future__ import annotations

import re
from functools import lru_cache

from finetune.self_kg.asking import Asking, Ending, Phrases, relation_words

_PERSON = re.compile(
    r"(?:人|者|长|师|员|家|官|主席|总统|总理|总裁|经理|董事|监事|秘书|教练|导演|主演|编剧|作曲|教授|国王|皇帝|父亲|母亲|儿子|"
    r"女儿|妻子|丈夫|配偶|兄弟|姐妹|哥哥|弟弟|姐姐|妹妹|祖父|祖母|学生|老师|前任|继任)$"
)
_NOT_PERSONS = re.compile(r"(?:成员|国家|专家|面积|法人|特长|生长|年长|全长|总长|周长|身长)$")
_PLACE = re.compile(r"(?:地|地点|地址|位置|首都|省会|首府|总部|故乡|籍贯|国籍|出生地|所在地)$")
_TIME = re.compile(r"(?:时间|日期|年份|年代|生日|之日)$")
_AMOUNT = re.compile(
    r"(?:年龄|人口|面积|高度|长度|数量|价格|海拔|重量|身高|体重|市值|注册资本|门数|人数|周长|全长)$"
)
_MADE_BY = re.compile(r"(.{2,4})者$")
_MAKING = frozenset(
    "创建 创立 创办 成立 建立 设计 发明 发现 开发 编写 执导 发行 制作 出版 主办 建造 提出 运营 经营".split()
)
_VERBS = frozenset(
    "包含 包括 含有 治疗 导致 引起 引发 生产 使用 拥有 预防 影响 需要 研究 出版 创作 管辖 下辖 盛产 种植 "
    "反对 支持 适用于 毕业于 任职于 就职于 隶属于 属于 从事 分布于 作用于 并发 检查 服用 禁忌".split()
)
_LOCATED = frozenset("位于 坐落于 坐落在 地处 位置 所在地 地点".split())
_TYPES = {
    "company": "公司",
    "stock": "公司",
    "person": "人",
    "executive": "人",
    "industry": "行业",
    "concept": "概念",
    "disease": "疾病",
    "drug": "药物",
    "symptom": "症状",
    "city": "城市",
    "country": "国家",
    "school": "学校",
    "organization": "机构",
}
_LISTED = {
    "所属科": Phrases(Asking("{}属于哪一科？", "", "{}所属的科"), says="{s}属于{o}。"),
    "所属属": Phrases(Asking("{}属于哪一属？", "", "{}所属的属"), says="{s}属于{o}。"),
    "出生于": Phrases(Asking("{}出生于哪里？"), says="{s}出生于{o}。"),
    "毕业于": Phrases(Asking("{}毕业于哪里？", "", "{}毕业的学校"), says="{s}毕业于{o}。"),
}
_ENGLISH_NAMES = {
    "capital": "首都",
    "author": "作者",
    "director": "导演",
    "founder": "创始人",
    "founded by": "创始人",
    "age": "年龄",
    "gender": "性别",
    "sex": "性别",
    "population": "人口",
    "area": "面积",
    "located in": "位于",
    "location": "位于",
    "birth place": "出生地",
    "birthplace": "出生地",
    "born in": "出生地",
    "date of birth": "出生日期",
    "birth date": "出生日期",
    "spouse": "配偶",
    "father": "父亲",
    "mother": "母亲",
    "symptom": "症状",
    "has symptom": "症状",
    "treats": "治疗",
    "causes": "导致",
    "alias": "别名",
    "nationality": "国籍",
    "language": "语言",
    "price": "价格",
    "isa": "上位概念",
    "is a": "上位概念",
    "part of": "隶属于",
}


_REST = {"概念": "板块"}


@lru_cache(maxsize=4096)
def chinese(relation: str, ending: Ending, subject_type: str = "", object_type: str = "") -> Phrases | None:
    """The questions of `relation` in Chinese; None where it is neither Chinese nor a known English name."""
    name = relation.strip()
    if not re.search("[\u3400-\u9fff]", name):
        words = " ".join(relation_words(name))
        special = _market(words, subject_type, object_type)
        if special is not None:
            return special
        name = _ENGLISH_NAMES.get(words, "")
        if not name:
            return None
    if not 2 <= len(name) <= 10 or not re.fullmatch("[\u3400-\u9fffA-Za-z]+", name):
        return None
    if name in _LISTED and ending != "date":
        return _LISTED[name]
    if name in _LOCATED or name.startswith("最"):
        where = name in _LOCATED
        return Phrases(
            Asking("{}位于哪里？" if where else f"{{}}{name}是什么？"),
            says="{s}位于{o}。" if where else f"{{s}}{name}是{{o}}。",
        )
    if name.endswith("于") and len(name) == 3 and name not in _VERBS:
        asked = f"{{}}{name}{'什么时候' if ending == 'date' else '哪里'}？"
        return Phrases(Asking(asked), says=f"{{s}}{name}{{o}}。")
    if name in _VERBS:
        many = f"{{}}{name}哪些？" if not name.endswith("于") else ""
        return Phrases(Asking(f"{{}}{name}什么？", many), says=f"{{s}}{name}{{o}}。")
    made = _MADE_BY.match(name)
    if made and made[1] in _MAKING:
        asked = f"{{}}是由谁{made[1]}的？"
        return Phrases(Asking(asked, asked, f"{{}}的{name}"), says=f"{{s}}的{name}是{{o}}。")
    return _noun(name)


def smooth(text: str) -> str:
    """`text` without the word for a kind of thing twice, where its name ends with it: 家电行业行业."""
    return re.sub(
        r"(概念|板块|行业|公司)(?:概念板块|\1)", lambda found: found[1] + _REST.get(found[1], ""), text
    )


def in_chinese(relation: str) -> str:
    """The Chinese for a common English name of a relation, "" for others."""
    return _ENGLISH_NAMES.get(" ".join(relation_words(relation)), "")


def _market(words: str, subject_type: str, object_type: str) -> Phrases | None:
    """Relations of companies with people, industries and concepts, and "N of" where the object is an N."""
    of_what = _TYPES.get(object_type.casefold(), "")
    who = _TYPES.get(subject_type.casefold(), "")
    if words in ("employ of", "employer", "works for", "works at", "employed by"):
        where = of_what or "机构"
        return Phrases(
            Asking(f"{{}}在哪家{where}任职？", f"{{}}在哪些{where}任职？", f"{{}}任职的{where}"),
            Asking("谁在{}任职？", "哪些人在{}任职？"),
            "{s}在{o}任职。",
        )
    if words.endswith(" of") and of_what and words[:-3] == object_type.casefold():
        shown = "概念板块" if of_what == "概念" else of_what
        backward = (
            Asking(f"哪家{who}属于{{}}{shown}？", f"哪些{who}属于{{}}{shown}？") if who == "公司" else None
        )
        return Phrases(
            Asking(f"{{}}属于哪个{shown}？", f"{{}}属于哪些{shown}？", f"{{}}所属的{shown}"),
            backward,
            f"{{s}}属于{{o}}{shown}。",
        )
    return None


def _noun(name: str) -> Phrases:
    noun = f"{{}}的{name}"
    many = f"{noun}有哪些？"
    says = f"{{s}}的{name}是{{o}}。"
    if _TIME.search(name):
        return Phrases(Asking(f"{noun}是什么时候？"), says=says)
    if _AMOUNT.search(name):
        return Phrases(Asking(f"{noun}是多少？"), says=says)
    if _PLACE.search(name):
        backward = Asking(f"{{}}是哪里的{name}？") if name in ("首都", "省会", "首府") else None
        return Phrases(Asking(f"{noun}是哪里？", many, noun), backward, says)
    person = _PERSON.search(name) and not _NOT_PERSONS.search(name)
    return Phrases(Asking(f"{noun}是{'谁' if person else '什么'}？", many, noun), says=says)
