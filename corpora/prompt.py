"""The one prompt: it serves answers and renders training rows, so that both see the same words.

Layout of the last user message; only our own lines begin in column 0:

    [1] path > heading
     text of the passage, every line behind one blank

    [2] ...

    Question:
     the question

Passages are data. Behind the blank no line of theirs can open a passage, a question or a role; their own
`[3]` becomes `[ 3 ]`, which is no marker; and strings that chat templates use for control are broken up
(`<|im_start|>` becomes `< |im_start|>`), for servers that tokenise what they are sent in one piece. The
local chat model goes further: no text from here can become a special token there (ChatInject, arXiv
2509.22830). Indentation and a question put last are the delimiters and the restatement of Spotlighting
(arXiv 2403.14720).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from corpora.errors import UsageError
from corpora.records import Message, Passage

PROMPT_VERSION = "1"

Language = Literal["en", "zh"]
LONGEST_QUESTION = 100_000  # characters; a model's context is far less, and retrieval reads all of it
MessageCounter = Callable[[Sequence[Message]], int]

REFUSAL: dict[Language, str] = {
    "en": "I found nothing about that in your documents.",
    "zh": "您的文档中没有相关内容。",
}

_SYSTEM: dict[Language, str] = {
    "en": (
        "Answer the question briefly, only from the passages, and mark the answer with the number of the "
        f"passage, like [1]. If the passages do not contain the answer, reply exactly: {REFUSAL['en']}"
    ),
    "zh": (
        "请只根据给出的段落简短回答问题，并在答案后标出所依据段落的编号，例如 [1]。"
        f"如果段落中没有答案，只回复：{REFUSAL['zh']}"
    ),
}
_CLOSED_BOOK: dict[Language, str] = {"en": "Answer the question briefly.", "zh": "请简短回答问题。"}
_QUESTION: dict[Language, str] = {"en": "Question:", "zh": "问题："}

# Two answered questions in front of the real one. Measured on 60 SQuAD questions with their gold passage and
# the base SmolLM2-135M: without them F1 0.10, with one 0.15, with these 0.24, with whole sentences as answers
# 0.16. An example of a refusal makes that model refuse 54-86 % of what it could answer, so there is none.
_EXAMPLES: dict[Language, tuple[tuple[str, str, str, str], ...]] = {
    "en": (
        (
            "harbour.md",
            "The harbour of Brannock is guarded by a lighthouse. It was built in 1874 by the engineer "
            "Anna Kerr and is 31 metres high.",
            "When was the lighthouse built?",
            "1874",
        ),
        (
            "ferries.md",
            "Two ferries cross the bay every hour in summer. A ticket costs four euros, and bicycles travel "
            "free.",
            "What does a ticket for the ferry cost?",
            "four euros",
        ),
    ),
    "zh": (
        (
            "港口.md",
            "布兰诺克港有一座灯塔。它由工程师安娜·克尔于1874年建造，高31米。",
            "灯塔是哪一年建造的？",
            "1874年",
        ),
        (
            "渡轮.md",
            "夏季每小时有两班渡轮穿过海湾。船票四欧元一张，自行车免费。",
            "渡轮的船票多少钱？",
            "四欧元",
        ),
    ),
}

# A small model that has said its answer goes on to write the next question of the prompt.
STOPS = tuple(f"\n{heading}" for heading in _QUESTION.values())

_LINE_BREAKS = re.compile(r"\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_MARKER = re.compile(r"[\[【](?=\d)|(?<=\d)[\]】]")
_CONTROL = re.compile(
    r"<(?=[|｜/]?[A-Za-z_▁][\w▁ -]{0,40}[|｜]?>)"  # <|im_start|>, <s>, </s>, <start_of_turn>, <｜User｜>
    r"|<(?=[|｜<])|\[(?=/?[A-Z_]{3,}\])"  # <<SYS>>, [INST], [/INST], [AVAILABLE_TOOLS]
)


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """Messages to send, `tokens` in all; the last one asks the question.

    Passages [1]..[included] are in them, `left_out` did not fit.
    """

    messages: tuple[Message, ...]
    language: Language
    included: int
    left_out: int
    tokens: int


def language_of(text: str) -> Language:
    """ "zh" where at least a fifth of the letters are Han and less than a tenth kana or Hangul, else "en".

    A Chinese text may quote a Japanese or Korean name; a text in those languages has a third of its own
    letters and more.
    """
    letters = [char for char in text if char.isalpha()]
    han = sum("\u3400" <= char <= "\u9fff" for char in letters)
    others = sum("\u3040" <= char <= "\u30ff" or "\uac00" <= char <= "\ud7a3" for char in letters)
    return "zh" if letters and han * 5 >= len(letters) > others * 10 else "en"


def refuse_endless(question: str) -> None:
    """Raises UsageError for a question over LONGEST_QUESTION."""
    if len(question) > LONGEST_QUESTION:
        raise UsageError(f"The question is longer than {LONGEST_QUESTION} characters.")


def escape(text: str) -> str:
    """`text` as inert data on lines that each begin with a blank; only white space is ever added."""
    inert = _CONTROL.sub(lambda found: found[0] + " ", _MARKER.sub(_spread, text))
    return "\n".join(" " + line for line in _LINE_BREAKS.split(inert.strip()))


def render(
    question: str,
    passages: Sequence[Passage],
    *,
    count_tokens: MessageCounter,
    limit: int,
    history: Sequence[Message] = (),
    examples: bool = True,
) -> RenderedPrompt:
    """The prompt for `question` over `passages`, best first, in at most `limit` tokens.

    Passages are taken in order until one does not fit; that one and the rest are counted in `left_out`.
    `history` is what was said before, without the passages of then: its markers point to nothing now, and
    become inert. `examples` are the two answered questions in front, which a tuned model does without.
    Raises UsageError when the question with the history, or with the first passage too, is over the limit.
    """
    language = language_of(question)
    said = [Message(turn.role, escape(turn.content).strip()) for turn in history]
    before = (Message("system", _SYSTEM[language]), *(_examples(language) if examples else ()), *said)
    blocks = [
        _block(number, passage.path, passage.heading, passage.text)
        for number, passage in enumerate(passages, start=1)
    ]

    def prompt(shown: int) -> tuple[Message, ...]:
        return (*before, _user(blocks[:shown], question, language))

    included, tokens = len(blocks), count_tokens(prompt(len(blocks)))
    if tokens > limit:
        included, tokens = _as_many_as_fit(len(blocks), lambda shown: count_tokens(prompt(shown)), limit)
    return RenderedPrompt(prompt(included), language, included, len(blocks) - included, tokens)


def _as_many_as_fit(passages: int, size: Callable[[int], int], limit: int) -> tuple[int, int]:
    """How many of `passages` go into `limit` tokens, and how many tokens that is. Raises UsageError."""
    included, tokens = 0, _checked(size(0), limit, "The question")
    while included < passages:
        more = size(included + 1)
        if more > limit:
            if not included:
                _checked(more, limit, "The question with one passage")
            break
        included, tokens = included + 1, more
    return included, tokens


def render_closed_book(question: str, *, count_tokens: MessageCounter, limit: int) -> RenderedPrompt:
    """The prompt without retrieval: the question alone. Raises UsageError when it is over `limit`."""
    language = language_of(question)
    messages = (Message("system", _CLOSED_BOOK[language]), Message("user", escape(question).strip()))
    tokens = _checked(count_tokens(messages), limit, "The question")
    return RenderedPrompt(messages, language, 0, 0, tokens)


def reply(answer: str | None, markers: Sequence[int], language: Language) -> Message:
    """What the assistant should have said: the training target. No answer is the refusal sentence."""
    if answer is None:
        return Message("assistant", REFUSAL[language])
    cited = "".join(f"[{marker}]" for marker in markers)
    return Message("assistant", f"{answer.strip()} {cited}".rstrip())


def refusal_of(messages: Sequence[Message]) -> str | None:
    """The sentence by which the prompt that `render` made is to be refused; None for any other prompt."""
    for language, system in _SYSTEM.items():
        if messages and messages[0] == Message("system", system):
            return REFUSAL[language]
    return None


def _examples(language: Language) -> list[Message]:
    turns: list[Message] = []
    for path, text, question, answer in _EXAMPLES[language]:
        turns += [_user([_block(1, path, None, text)], question, language), reply(answer, [1], language)]
    return turns


def _user(blocks: Sequence[str], question: str, language: Language) -> Message:
    return Message("user", "\n\n".join([*blocks, f"{_QUESTION[language]}\n{escape(question)}"]))


def _block(number: int, path: str, heading: str | None, text: str) -> str:
    title = f"{path} > {heading}" if heading else path
    return f"[{number}] {' '.join(escape(title).split())}\n{escape(text)}"


def _spread(bracket: re.Match[str]) -> str:
    return bracket[0] + " " if bracket[0] in "[【" else " " + bracket[0]


def _checked(tokens: int, limit: int, what: str) -> int:
    if tokens > limit:
        raise UsageError(
            f"{what} is {tokens} tokens with its instructions; the limit is {limit} with this model.",
            hint="ask a shorter question, or --model one with a longer context",
        )
    return tokens
