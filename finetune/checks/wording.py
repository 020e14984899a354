"""Checks that read the words of a question and its answer alone: length, form, demonstratives, giveaways."""

from __future__ import annotations

import re
import unicodedata

from finetune.candidates import Candidate
from finetune.checks.records import QUESTIONS, Fault
from finetune.measures import answer_tokens

_HAN = "\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7a3"
_UNIT = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+")
_MARKS = re.compile(r"\[\d+\]|<\|[^|]*\|>|</?s>|�")

# Units (words, or Han characters) that a question and its answer may have, lowest and highest. The bounds
# hold 99.8 % of the human questions of squad2, xquad and cmrc.
_QUESTION = {"en": (3, 40), "zh": (4, 80)}
_ANSWER = {"en": (1, 100), "zh": (1, 200)}
_INSTRUCTION = (1, 150)  # words of an instruction (Self-Instruct, Wang et al. 2023)
_OUTPUT = (1, 1000)
_INPUT = (0, 2000)


def check_length(candidate: Candidate) -> Fault | None:
    """Whether question, input and answer are there, and neither too short nor too long."""
    if candidate.kind in QUESTIONS:
        bounds = {"question": _QUESTION[candidate.language], "answer": _ANSWER[candidate.language]}
    else:
        bounds = {"question": _INSTRUCTION, "answer": _OUTPUT}
    texts = {"question": candidate.question, "input": candidate.input}
    if candidate.answer is not None:
        texts["answer"] = candidate.answer
    for name, text in texts.items():
        lowest, highest = bounds.get(name, _INPUT)
        units = len(_UNIT.findall(text))
        if not lowest <= units <= highest:
            return Fault("length", f"{name} of {units} words; {lowest} to {highest} are taken")
    return None


_ASKS_EN = re.compile(
    r"\b(?:who|whom|whose|what|when|where|which|why|how)\b"
    r"|^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|must)\b"
    r"|^(?:please\s+)?(?:name|list|give|state|define|describe|explain|identify|tell|calculate|summari[sz]e|"
    r"compare|outline|mention|provide|complete|find|true or false)\b",
    re.IGNORECASE,
)
_ASKS_ZH = re.compile(
    r"[吗嗎呢么麼]|什|甚|谁|誰|哪|几|幾|多少|多[久长長大高远遠深宽寬重]|何|为啥|啥|怎|如何|是否|能否|可否|请|請|"
    r"是不是|有没有|有沒有|简述|列举|说明|解释|定义|年份|说出|指出|写出|举出"
)


def check_form(candidate: Candidate) -> Fault | None:
    """Whether a question asks for something: it ends as one, or has a word that asks."""
    if candidate.kind not in QUESTIONS:
        return None
    text = candidate.question.strip().rstrip("\"'”’」』 ")
    if _MARKS.search(text):
        return Fault("not_a_question", "it holds a mark of the prompt")
    if "\n" in text:
        return Fault("not_a_question", "it is more than one line")
    asks = _ASKS_ZH if candidate.language == "zh" else _ASKS_EN
    if text.endswith(("?", "？")) or asks.search(text):
        return None
    return Fault("not_a_question", "it has no question mark and no word that asks")


_META = (
    r"(?:passage|text|excerpt|paragraph|article|document|section|chapter|snippet|extract|context|"
    r"sentence|information|statement|quote|story|page|table|figure|image|diagram|chart|list|report|paper|"
    r"source|author|writer|narrator|speaker|example)s?"
)
_SPEAKS = (
    r"(?:mention|describe|discuss|state|say|said|suggest|argue|claim|imply|explain|refer|conclude|use|give)"
)
_TIME = r"(?:day|week|weekend|month|year|decade|century|millennium|morning|evening|season)s?"
_DEICTIC = [
    # "this passage", "the above text", "the given article"
    rf"\b(?:this|these|that|those|above|given|provided|following|preceding|previous)\s+(?:\w+\s+)?{_META}\b"
    r"(?!\s+of\b)",
    # "the passage"; "the author of Hamlet" and "the list of members" are things of the world
    r"\bthe\s+(?:passage|excerpt|snippet|above|text|context)\b(?!\s+of\b|-|\s+messag)",
    r"\b(?:in|from|by|per|to)\s+the\s+(?:article|paragraph|document|section|paper|author|writer|story)s?\b"
    r"(?!\s+(?:of|on|about|by|that|which|who|called|named)\b)(?=[\s,.?]*$|,)",
    rf"\bthe\s+(?:author|writer|narrator|speaker|article|paragraph|document)s?\s+{_SPEAKS}",
    rf"\b(?:does|did|do)\s+the\s+(?:author|writer|narrator|article|paragraph|document)s?\s+{_SPEAKS}",
    r"\baccording\s+to\s+the\s+(?:passage|text|article|author|document|paragraph|information|context|section|"
    r"excerpt|source)s?\b",
    r"\b(?:mentioned|described|discussed|stated|listed|shown|given|quoted|as)\s+(?:above|below|here)\b",
    r"\b(?:mentioned|described|discussed|stated|given)\s+in\s+the\s+(?:\w+\s+)?"
    r"(?:passage|text|article|document|paragraph|section|excerpt|information|story)\b",
    r"\bthe\s+(?:former|latter)(?=['’]s|\s*(?:[?,.]|$)|\s+(?:is|was|are|were|do|does|did|has|had|have|of)\b)",
    r"\baforementioned\b|\bthe\s+above\b",
    # "this river", "these two": a noun that another sentence named
    rf"\b(?:this|these)\s+(?!(?:{_TIME}|is|was|are|were|and|or|to|by)\b)[a-z]\w*",
    r"\b(?:that|those)\s+(?:same|particular|specific)\b",
    # "What is this?", "How did this happen?"
    r"\b(?:is|was|are|were|does|did|do|has|had|have|can|could|will|would|about|of|for|by|after|before|to|with|"
    r"from|like|than|why|how)\s+(?:this|these)(?=\s*(?:\?|$|,)|\s+(?:is|was|are|were|do|happen|occur|called|"
    r"mean|made|done|become|became|lead|led|caused?|result))",
]
_DEICTIC_EN = re.compile("|".join(_DEICTIC), re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|‘[^’]*’|《[^》]*》|「[^」]*」|『[^』]*』|(?<!\w)'[^']*'(?!\w)")

_AUXILIARY = (
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|must|"
    r"isn't|wasn't|weren't|doesn't|didn't|hasn't|couldn't)"
)
# A pronoun behind the first auxiliary: whom it stands for must have been named before it.
_PRONOUN = re.compile(
    rf"(?P<before>^.*?)\b(?P<auxiliary>{_AUXILIARY})\s+(?:not\s+)?(?P<pronoun>he|she|it|they|him|her|them|his|hers|its|their)\b"
    r"(?P<behind>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_EXPLETIVE = re.compile(
    r"^\s+(?:\w+ly\s+)?(?:take|mean|cost|matter|feel|rain|snow|happen|appear|seem|follow|like|possible|"
    r"important|necessary|\w+\s+(?:\w+\s+)?(?:to|that|for|when|if|whether|who|which|where|how))\b",
    re.IGNORECASE,
)
_OPENING_PRONOUN = re.compile(
    r"^(?:(?:and|but|so|or|also)\b|it\b(?!\s+(?:is|was)\s+(?:\w+ly\s+)?\w+\s+that\b)"
    r"|(?:he|she|they|this|these|those|his|her|its|their)\b(?!\s+or\b))",
    re.IGNORECASE,
)
# What may have been named before: a name, a thing of something, or all that an earlier clause says.
_NAMED = re.compile(
    rf"(?<!^)(?<![.?!]\s)\b[A-Z0-9][\w’'-]*|[a-z]+(?:,|\s+(?:of|in|by|from|with|for)\s)|\b(?i:{_AUXILIARY})\b"
)
_OWNER = re.compile(r"(?:which|what)\s+\w+(?:\s+\w+)*\s*$", re.IGNORECASE)  # "Which river has its source"

_DEICTIC_ZH = re.compile(
    r"本文|上述|上文|下文|前文|原文|该文|該文|此文|全文|(?<![\u4e00-\u9fff])文中|(?:^|[，,在据從从由])(?:文章|短文|课文|材料|资料|段落|文本|文段)(?:中|里|裡|内|的|所|认为|提到|指出|说|，)"
    r"|(?:这|這|此|该|該|本|上面|以上|给定|下面|以下)(?:一)?(?:段|篇|份|则|則)"
    r"|(?:这|這|此|该|該|上面的?|以上的?|给定的?)(?:文章|短文|文本|材料|资料|資料|文档|文檔|报告|片段|作者)"
    r"|(?:^|[，,。：；根据據按照])作者(?!是|为|為|有|名)"
    r"|根据(?:以上|上面|上文|所给|提供|给出)|如(?:上|下)所述|如(?:图|表)"
)
_POINTING_ZH = re.compile(
    r"^(?:请问)?(?P<head>[^，。？]*?)"
    r"(?P<word>[这這该該]|此(?!外|后|後|前|时|時)|(?<![其吉])他(?!国|人)|她|(?<!其)它|^其(?!他|它|中|余|餘|实|實|次))"
)


def check_demonstrative(candidate: Candidate) -> Fault | None:
    """Whether a question can be understood by who sees nothing else.

    It must not speak of "the passage", nor point (`this`, `he`, 该, 他) at what it does not name itself.
    What stands in quotation marks is a title. A question with a history may lean on it.
    """
    if candidate.kind not in QUESTIONS or candidate.history:
        return None
    text = _QUOTED.sub(" Xx ", unicodedata.normalize("NFKC", candidate.question).strip())
    found = _pointing_zh(text) if candidate.language == "zh" else _pointing_en(text)
    return Fault("demonstrative", found) if found else None


def _pointing_en(text: str) -> str | None:
    found = _DEICTIC_EN.search(text) or _OPENING_PRONOUN.match(text)
    if found:
        return found[0].strip()
    pronoun = _PRONOUN.match(text)
    if pronoun is None or _NAMED.search(pronoun["before"]):
        return None
    word = pronoun["pronoun"].lower()
    if word == "it" and _EXPLETIVE.match(pronoun["behind"]):
        return None
    owner = not pronoun["auxiliary"].lower().startswith("d") and _OWNER.match(pronoun["before"])
    if owner and word in ("its", "their", "his", "her"):
        return None
    return word


def _pointing_zh(text: str) -> str | None:
    found = _DEICTIC_ZH.search(text)
    if found:
        return found[0]
    pointing = _POINTING_ZH.match(text)
    # Two characters are the least that can name something ("故宫"); words that ask name nothing.
    if pointing and len(_EMPTY_ZH.sub("", pointing["head"])) < 2:
        return pointing["word"]
    return None


_EMPTY_ZH = re.compile(
    r"什么时候|为什么|什么|哪些|哪里|哪个|何时|为何|如何|怎么|多少|根据|关于|除了|[哪谁几在从由对被把和与的是于当以请问\s\"'《》]"
)


def check_giveaway(candidate: Candidate) -> Fault | None:
    """Whether the question says its answer. A question that offers a choice may."""
    answer = candidate.answer
    if candidate.kind not in QUESTIONS or answer is None or _CHOICE.search(candidate.question):
        return None
    said, asked = answer_tokens(answer), answer_tokens(candidate.question)
    if not said or (len(said) == 1 and re.fullmatch(rf"[{_HAN}]", said[0])):
        return None  # one Han character is part of many words
    width = len(said)
    if any(asked[at : at + width] == said for at in range(len(asked) - width + 1)):
        return Fault("answer_in_question", "the question holds the answer")
    return None


_CHOICE = re.compile(r"\b(?:or|whether|versus|vs|between)\b|还是|還是|或", re.IGNORECASE)
