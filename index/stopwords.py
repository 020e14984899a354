"""Words of a question that say nothing about what it is about; left out of queries, never out of the index.

Only function and question words, no topic word, so that one list serves every library. Measured (nDCG@10 of
the lexical side, with and without): clapnq .873/.847, cisi .384/.364, dureader-checklist .935/.886.
"""

from __future__ import annotations

import re

_ENGLISH = """
a an and are as at be been but by can could did do does for from had has have he her him his how i if in into
is it its may me might my no not of on or our she should so such than that the their them then there these
they this to us was we were what when where which who whom whose why will with would you your
"""
ENGLISH = frozenset(_ENGLISH.split())

# Question words and particles of Chinese, in simplified and traditional characters: a query is cut at them,
# so that no pair of characters straddles one.
_CHINESE_CUTS = """
什么 什麼 甚麼 怎么 怎麼 怎样 怎樣 如何 为什 為什 为何 為何 多少 多久 多长 多長 多大
哪些 哪个 哪個 哪里 哪裡 哪儿 哪兒 哪 谁 誰 几 幾 何时 何時 何 是否 是不是 能不能 可不可以 可以 能否
有没有 有沒有 请问 請問 吗 嗎 呢 吧 啊 的 了 是 在 和 与 與
"""
CUTS = re.compile("|".join(sorted(map(re.escape, _CHINESE_CUTS.split()), key=len, reverse=True)))

# Characters that mean little alone; their pairs with a neighbour are kept. Hiragana alone is grammar.
SINGLE = frozenset(
    "有也就都而及或为為被把从從到这這那个個会會要能可以之其于於么麼样樣不对對上下中后後前时時候还還很又让讓由"
) | frozenset(map(chr, range(0x3041, 0x3097)))
