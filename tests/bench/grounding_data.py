"""Training rows of the shipped grounding adapter: human questions over open texts, and some made by rule.

A group is a few passages with every question that is asked of them: its rows share all of their prompt but
the question, and the trainer reads what they share once. `BARRED` articles are in no row, whichever set they
come from.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from grounding_altered import Alterer
from grounding_manuals import Manual, manuals

import corpora
from corpora.prompt import REFUSAL, render, reply
from corpora.records import Message, Passage

HELD_OUT = ("Harvard_University", "Immune_system")  # questions about these judge the adapter
OFF_INDEX = ("Ctenophora", "Private_school")  # and these are asked where only other articles are indexed
BARRED = frozenset((*HELD_OUT, *OFF_INDEX))
# Its questions choose the threshold alone: a model is surer of articles that taught it than of new ones.
FOR_THRESHOLD = "1973_oil_crisis"

LICENCES = {
    "squad2": "CC BY-SA 4.0",
    "xquad-en": "CC BY-SA 4.0",
    "expmrc-squad": "CC BY-SA 4.0",
    "clapnq": "Apache-2.0 (passages: Wikipedia, CC BY-SA 3.0)",
    "covid-qa": "Apache-2.0",
    "pubmedqa": "MIT",
    "rust-book-en": "MIT OR Apache-2.0",
    "flask-docs": "BSD-3-Clause",
}
_SQUAD_FAMILY = ("squad2", "xquad-en", "expmrc-squad")  # share articles, and some paragraphs
_MOST_QUESTIONS = 24  # of a group
_MOST_CHARACTERS = 4200  # of the passages of a group
_AMONG_OTHERS = 0.6  # of the paragraphs, a pass: asked among others like them
_OTHERS_ASKED = 0.12  # of the questions about those others
_NOT_FIRST = 0.15  # of such groups: the order is any
_OF_MANUALS_ALTERED = 0.2  # of their answered questions; some of them have been written without an answer
_WINDOW = 900  # characters around an answer in a long article

_CALIBRATION = Path(corpora.__file__).parent / "calibration" / "en.jsonl"
_SENTENCE_END = re.compile(r"(?<=[a-z\d)]{2}[.?!])\s+(?=[A-Z])")
_HEAD = 120  # characters that tell a paragraph from the others, letters and digits alone

Article = list["Paragraph"]


@dataclass(slots=True)
class Paragraph:
    """A passage with the questions that it answers, and those that look like it but that it does not."""

    title: str
    text: str
    source: str
    answered: list[tuple[str, str]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    path: str | None = None
    heading: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a group; `gold` is the place of the passage that answers it, None where none does."""

    question: str
    answer: str | None
    gold: int | None
    kind: str
    about: int = 0  # the place of the passage that it was asked of


@dataclass(frozen=True, slots=True)
class Row:
    """A prompt and the right reply."""

    messages: tuple[Message, ...]
    completion: Message
    kind: str
    source: str

    @property
    def grounded(self) -> bool:
        """Whether the passages answer the question."""
        return self.completion.content != REFUSAL["en"]


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of each kind is taken."""

    unanswered: float = 1.0  # of the questions that look answerable and are not
    altered: float = 0.6  # of the answered questions, which then come changed too
    others: float = 0.4  # of the sets outside of the SQuAD family
    passes: int = 2  # over the SQuAD family, each with other groups


def rows(folder: Path, documents: Path, shares: Shares, seed: int) -> list[Row]:
    """All training rows in the order of their groups; `documents` holds the folders of manuals."""
    rng = random.Random(seed)
    articles = {title: one for title, one in squad_articles(folder).items() if title != FOR_THRESHOLD}
    others = other_paragraphs(folder, rng)
    groups: list[tuple[list[Paragraph], list[Asked]]] = []
    passages, of_manuals = list(manuals(documents)), replace(shares, altered=_OF_MANUALS_ALTERED)
    for place in range(shares.passes):
        groups += _article_groups(articles, shares, rng)
        groups += _article_groups(manual_articles(passages, by_rule=not place), of_manuals, rng)
    taken = [one for one in others if rng.random() < shares.others]
    groups += [_other_group(one, others, rng) for one in taken]
    rng.shuffle(groups)
    return [row for members, asked in groups for row in _rows_of(members, asked, rng)]


def validation_rows(folder: Path, seed: int) -> list[Row]:
    """Human questions, answered and not, about an article that no training row shows."""
    rng = random.Random(seed)
    articles = {FOR_THRESHOLD: squad_articles(folder)[FOR_THRESHOLD]}
    groups = _article_groups(articles, Shares(altered=0.0), rng)
    return [row for members, asked in groups for row in _rows_of(members, asked, rng)]


def squad_articles(folder: Path) -> Mapping[str, Article]:
    """Paragraphs by title; a paragraph that is in several sets has the questions of all of them."""
    by_text: dict[str, Paragraph] = {}
    barred = calibration_keys()
    for name in _SQUAD_FAMILY:
        here: dict[str, Paragraph] = {}
        for row in read(folder, name, "docs"):
            key = _key(row["text"])
            if row["title"] not in BARRED and key not in barred:
                here[row["doc_id"]] = by_text.setdefault(key, Paragraph(row["title"], row["text"], name))
        for row in read(folder, name, "questions"):
            paragraph = here.get(row["doc_ids"][0])
            if paragraph is None:
                continue
            if not row["answerable"]:
                paragraph.unanswered.append(row["question"])
                continue
            answer = common_answer(row["answers"], paragraph.text)
            if answer and all(row["question"] != known for known, _ in paragraph.answered):
                paragraph.answered.append((row["question"], answer))
    articles: dict[str, Article] = defaultdict(list)
    for paragraph in by_text.values():
        articles[paragraph.title].append(paragraph)
    return articles


def manual_articles(passages: Sequence[Manual], *, by_rule: bool) -> Mapping[str, Article]:
    """Passages of manuals by file, with the questions written for them and, if wanted, made by rule."""
    articles: dict[str, Article] = defaultdict(list)
    for one in passages:
        asked = [*one.written, *(one.by_rule if by_rule else ())]
        answered = [(question, " ".join(answer.split())) for question, answer in asked if answer is not None]
        unanswered = [question for question, answer in asked if answer is None]
        articles[one.path].append(
            Paragraph(one.path, one.text, one.name, answered, unanswered, path=one.path, heading=one.heading)
        )
    return articles


def calibration_keys() -> frozenset[str]:
    """The paragraphs that measure readers in `generate`, which must not have taught them."""
    lines = _CALIBRATION.read_text("utf-8").splitlines()
    return frozenset(_key(json.loads(line)["passage"]) for line in lines)


def _key(text: str) -> str:
    return re.sub(r"\W+", "", text)[:_HEAD]


def other_paragraphs(folder: Path, rng: random.Random) -> list[Paragraph]:
    """Paragraphs of the other sets, each with the name of its set; answers are short ones."""
    found = _covid(folder, rng)
    found += _clapnq(folder) + _pubmed(folder, rng)
    return [one for one in found if 80 < len(one.text) < 1800 and (one.answered or one.unanswered)]


def _covid(folder: Path, rng: random.Random) -> list[Paragraph]:
    """Windows of the long articles around each short answer."""
    texts = {row["doc_id"]: row["text"] for row in read(folder, "covid-qa", "docs")}
    by_article: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in read(folder, "covid-qa", "questions"):
        if len(row["answers"][0]) <= 100:
            by_article[row["doc_ids"][0]].append((row["question"], row["answers"][0]))
    found = []
    for article, pairs in by_article.items():
        done: set[str] = set()
        for question, answer in pairs:
            text = window(texts[article], answer, rng)
            if text is None or question in done:
                continue
            here = [
                pair
                for pair in pairs
                if pair[0] not in done and pair[1] in text and (pair[0] == question or len(pair[1]) > 6)
            ]
            done |= {known for known, _ in here}
            found.append(Paragraph(f"article-{article[-4:]}", text, "covid-qa", here))
    return found


def _clapnq(folder: Path) -> list[Paragraph]:
    texts = {row["doc_id"]: row for row in read(folder, "clapnq", "docs")}
    found = []
    for row in read(folder, "clapnq", "questions"):
        if not row["doc_ids"]:
            continue
        text = texts[row["doc_ids"][0]]
        paragraph = Paragraph(text["title"], text["text"], "clapnq")
        question = row["question"][0].upper() + row["question"][1:] + "?"
        if not row["answerable"]:
            paragraph.unanswered.append(question)
        elif len(row["answers"][0]) <= 160:
            paragraph.answered.append((question, row["answers"][0].strip()))
        found.append(paragraph)
    return found


def _pubmed(folder: Path, rng: random.Random) -> list[Paragraph]:
    """A few questions whose answer is yes or no."""
    texts = {row["doc_id"]: row for row in read(folder, "pubmedqa", "docs")}
    decided = [
        row for row in read(folder, "pubmedqa", "questions") if row["answers"][:1] in (["yes"], ["no"])
    ]
    found = []
    for row in rng.sample(decided, 60):
        text, asked = texts[row["doc_ids"][0]]["text"], [(row["question"], row["answers"][0])]
        found.append(Paragraph(f"pubmed-{row['id']}", text, "pubmedqa", asked))
    return found


def window(text: str, answer: str, rng: random.Random) -> str | None:
    """Whole sentences, about `_WINDOW` characters, around the first place of `answer`."""
    at = text.find(answer)
    if at < 0:
        return None
    cuts = [0, *(cut.end() for cut in re.finditer(r"(?<=[.!?])\s+|\n+", text)), len(text)]
    lead = rng.randrange(max(_WINDOW - len(answer) - 100, 1))
    begin = max(cut for cut in cuts if cut <= max(at - lead, 0))
    end = min(cut for cut in cuts if cut >= min(max(begin + _WINDOW, at + len(answer)), len(text)))
    return text[begin:end].strip() if end - begin < 2 * _WINDOW else None


def common_answer(answers: Sequence[str], text: str) -> str | None:
    """The answer that most annotators gave, the shortest of several; one that stands in the text."""
    counts = Counter(answer for answer in answers if answer and answer.lower() in text.lower())
    return min(counts, key=lambda answer: (-counts[answer], len(answer)), default=None)


def read(folder: Path, name: str, what: str) -> list[dict]:
    """The rows of a set."""
    lines = (folder / f"{name}.{what}.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def _article_groups(
    articles: Mapping[str, Article], shares: Shares, rng: random.Random
) -> Iterator[tuple[list[Paragraph], list[Asked]]]:
    """Each paragraph alone, and some of them before one to three of its article that are like it."""
    for title, paragraphs in articles.items():
        texts = [one.text for one in paragraphs]
        near, alterer = Near(texts), Alterer(texts)
        places = list(range(len(paragraphs)))
        rng.shuffle(places)
        places = [place for place in places if paragraphs[place].answered or paragraphs[place].unanswered]
        for place in places:
            members = [paragraphs[place]]
            asked = _questions(members, alterer, shares, rng)
            if rng.random() < 0.35:
                asked += _missing(members, paragraphs, 1, rng)
            if rng.random() < 0.15:
                asked += _strangers(title, articles, rng)
            yield members, _some(asked, rng)
        for place in places:
            if len(paragraphs) < 3 or rng.random() > _AMONG_OTHERS:
                continue
            around = rng.sample(near.of(place, 8), min(rng.choice((1, 2, 3, 3, 3)), len(paragraphs) - 1, 8))
            members = [paragraphs[place], *(paragraphs[one] for one in around)]
            if rng.random() < 0.15:
                members[-1] = rng.choice(articles[rng.choice(list(articles))])
            while len(members) > 1 and sum(len(one.text) for one in members) > _MOST_CHARACTERS:
                members.pop()
            yield _group_led_by(members, paragraphs, articles, alterer, shares, rng)


def _group_led_by(
    members: list[Paragraph],
    article: Article,
    articles: Mapping[str, Article],
    alterer: Alterer,
    shares: Shares,
    rng: random.Random,
) -> tuple[list[Paragraph], list[Asked]]:
    """Members in the order in which a retriever gives them: what most questions are about comes first."""
    leader = members[0]
    if rng.random() < _NOT_FIRST:
        rng.shuffle(members)
    asked = [
        one
        for one in _questions(members, alterer, shares, rng)
        if members[one.about] is leader or rng.random() < _OTHERS_ASKED
    ]
    asked = _some(asked, rng, _MOST_QUESTIONS - 3)
    asked += _missing(members, article, rng.choice((0, 1, 2)), rng)
    if rng.random() < 0.2:
        asked += _strangers(members[0].title, articles, rng)
    return members, _some(asked, rng)


def _questions(
    members: Sequence[Paragraph], alterer: Alterer, shares: Shares, rng: random.Random
) -> list[Asked]:
    asked: list[Asked] = []
    for place, member in enumerate(members):
        asked += [Asked(question, answer, place, "answered", place) for question, answer in member.answered]
        asked += [
            Asked(question, None, None, "unanswered", place)
            for question in member.unanswered
            if rng.random() < shares.unanswered
        ]
        altered = [
            alterer.alter(question, member.text, rng)
            for question, _ in member.answered
            if rng.random() < shares.altered
        ]
        asked += [
            Asked(question, None, None, "altered", place) for question in altered if question is not None
        ]
    return asked


def _missing(members: Sequence[Paragraph], article: Article, count: int, rng: random.Random) -> list[Asked]:
    """Questions of the same article whose answer is in none of the members."""
    pool = [one for one in article if one.answered and all(one is not member for member in members)]
    drawn = [rng.choice(rng.choice(pool).answered) for _ in range(count)] if pool else []
    return [
        Asked(question, None, None, "missing")
        for question, answer in drawn
        if not any(holds(member.text, answer) for member in members)
    ]


def _strangers(title: str, articles: Mapping[str, Article], rng: random.Random) -> list[Asked]:
    """A question of another article."""
    others = [one for one in articles if one != title]
    if not others:
        return []
    answered = rng.choice(articles[rng.choice(others)]).answered
    return [Asked(rng.choice(answered)[0], None, None, "stranger")] if answered else []


def _other_group(
    one: Paragraph, others: Sequence[Paragraph], rng: random.Random
) -> tuple[list[Paragraph], list[Asked]]:
    beside = [
        other
        for other in others
        if other.source == one.source and other.title == one.title and other is not one
    ]
    members = [one, *rng.sample(beside, min(rng.choice((0, 0, 1)), len(beside)))]
    rng.shuffle(members)
    place = next(at for at, member in enumerate(members) if member is one)
    asked = [Asked(question, answer, place, "answered") for question, answer in one.answered]
    asked += [Asked(question, None, None, "unanswered") for question in one.unanswered]
    if one.source == "covid-qa" and rng.random() < 0.5:
        asked += _missing(members, beside, 1, rng)
    return members, _some(asked, rng)


def _some(asked: list[Asked], rng: random.Random, most: int = _MOST_QUESTIONS) -> list[Asked]:
    rng.shuffle(asked)
    return asked[:most]


def _rows_of(members: Sequence[Paragraph], asked: Sequence[Asked], rng: random.Random) -> list[Row]:
    shape = rng.choices((_plain, _titled, _listed), (0.7, 0.18, 0.12))[0]
    passages = [_passage(member, shape, rng) for member in members]
    found = []
    for one in asked:
        prompt = render(one.question, passages, count_tokens=_no_limit, limit=1, examples=False)
        markers = [] if one.gold is None else [one.gold + 1]
        found.append(Row(prompt.messages, reply(one.answer, markers, "en"), one.kind, members[0].source))
    return found


def _passage(member: Paragraph, shape: Callable[[Paragraph], str], rng: random.Random) -> Passage:
    """Under a file name such as people give, with a heading or without."""
    name = member.title.replace("/", "-")
    path = rng.choice((f"{name}.md", f"{name}.md", f"{name.replace('_', ' ')}.txt", f"{name.lower()}.md"))
    heading = member.title.replace("_", " ") if rng.random() < 0.6 else None
    text = member.text if member.path else shape(member)
    if member.path:
        path, heading = member.path, member.heading
    return Passage(1, "x", "x", path, "md", 0, 0, len(text), 1, 1, None, heading, text)


def _plain(member: Paragraph) -> str:
    return member.text


def _titled(member: Paragraph) -> str:
    return f"## {member.title.replace('_', ' ')}\n\n{member.text}"


def _listed(member: Paragraph) -> str:
    """Its sentences as the points of a Markdown list."""
    return "\n".join(f"- {one}" for one in _SENTENCE_END.split(member.text))


def _no_limit(_messages: Sequence[Message]) -> int:
    return 0


class Near:
    """Which texts are like one, by the cosine of their tf-idf vectors."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words(text)) for text in texts]
        documents = Counter(word for count in counts for word in count)
        self._vectors: list[dict[str, float]] = []
        for count in counts:
            weights = {
                word: (1 + math.log(n)) * math.log(1 + len(texts) / documents[word])
                for word, n in count.items()
            }
            length = math.hypot(*weights.values()) or 1.0
            self._vectors.append({word: weight / length for word, weight in weights.items()})

    def of(self, place: int, count: int) -> list[int]:
        """The `count` nearest others, nearest first."""

        def cosine(other: int) -> float:
            here = self._vectors[other]
            return sum(weight * here.get(word, 0.0) for word, weight in self._vectors[place].items())

        return sorted((at for at in range(len(self._vectors)) if at != place), key=cosine, reverse=True)[
            :count
        ]


def words(text: str) -> list[str]:
    """Lower-case words and numbers."""
    return re.findall(r"[a-z0-9]+", text.lower())


def holds(text: str, answer: str) -> bool:
    """Whether the words of `answer` stand in `text` one after the other."""
    return " ".join(words(answer)) in " ".join(words(text))
