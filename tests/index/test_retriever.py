"""Question in, ranked passages out: modes, filters, caps, changes, LangChain."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from corpora.chunking import Piece
from corpora.errors import Conflict, UsageError
from corpora.records import Extracted, ScoredPassage, indexed_text
from corpora.store import Library, NewDocument, Stat
from index.retriever import MODES, Retriever
from index.words import index_words


class WordEncoder:
    """Unit vectors in which texts of the same words are near: enough of an encoder for a library of toys."""

    name = "all-minilm-l6-v2"
    fingerprint = "toy"
    dimension = 64
    max_tokens = 256

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode_passages(self, texts: Sequence[str], progress: object = None) -> NDArray[np.float32]:
        return np.stack([self.encode_query(text) for text in texts])

    def encode_query(self, text: str) -> NDArray[np.float32]:
        row = np.full(self.dimension, 1e-3, np.float32)
        for word in index_words(text).split():
            row += np.random.default_rng(zlib.crc32(word.encode())).standard_normal(
                self.dimension, np.float32
            )
        return row / np.linalg.norm(row)


def put(library: Library, path: str, *lines: str, heading: str | None = None, kind: str = "txt") -> None:
    """A document with a passage a line."""
    text = "\n".join(lines)
    pieces, at = [], 0
    for number, line in enumerate(lines, 1):
        pieces.append(Piece(at, at + len(line), number, number, None, heading))
        at += len(line) + 1
    vectors = WordEncoder().encode_passages([indexed_text(heading, line) for line in lines]).astype("<f4")
    sha256 = f"{zlib.crc32(text.encode()):064x}"
    document = NewDocument(path, Extracted(text, kind), sha256, Stat(1, 1), pieces, vectors.tobytes())
    with library.write() as writer:
        writer.put_document(document)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.create(tmp_path / ".assistant") as made:
        with made.write() as writer:
            for key, value in (
                ("encoder", "all-minilm-l6-v2"),
                ("encoder_fingerprint", "toy"),
                ("dimension", "64"),
            ):
                writer.set_manifest(key, value)
        yield made


@pytest.fixture
def animals(library: Library) -> Library:
    put(library, "pets/cats.md", "cats sleep all day", "cats hunt mice at night", heading="Cats", kind="md")
    put(library, "pets/dogs.txt", "dogs bark at strangers", "dogs guard the house")
    put(library, "wild/wolves.txt", "wolves hunt in packs", "wolves howl at night")
    put(library, "notes.md", "the house needs paint", kind="md")
    return library


def texts(hits: Sequence[ScoredPassage]) -> list[str]:
    return [hit.passage.text for hit in hits]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_finds_the_passage(animals: Library, mode: str) -> None:
    hits = Retriever(animals, WordEncoder()).search("wolves howl", 3, mode)
    assert hits[0].passage.text == "wolves howl at night"
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_scores_of_each_side_are_told(animals: Library) -> None:
    retriever = Retriever(animals, WordEncoder())
    hybrid = retriever.search("wolves howl", 7)
    query = WordEncoder().encode_query("wolves howl")
    for hit in hybrid:
        vector = WordEncoder().encode_query(indexed_text(hit.passage.heading, hit.passage.text))
        assert hit.dense == pytest.approx(float(vector @ query), abs=1e-6)
    assert hybrid[0].lexical is not None
    assert hybrid[-1].lexical is None
    assert retriever.search("wolves howl", 1, "lexical")[0].dense is None
    assert retriever.search("wolves howl", 1, "dense")[0].lexical is None


def test_lexical_mode_needs_no_encoder(animals: Library) -> None:
    retriever = Retriever(animals, None)
    assert texts(retriever.search("paint", mode="lexical")) == ["the house needs paint"]
    with pytest.raises(UsageError):
        retriever.search("paint")


def test_heading_words_find_its_passages(animals: Library) -> None:
    found = texts(Retriever(animals, None).search("cats", 5, "lexical"))
    assert set(found) == {"cats sleep all day", "cats hunt mice at night"}


@pytest.mark.parametrize(
    ("glob", "paths"),
    [
        ("*.md", {"pets/cats.md", "notes.md"}),
        ("pets", {"pets/cats.md", "pets/dogs.txt"}),
        ("pets/", {"pets/cats.md", "pets/dogs.txt"}),
        ("wild/**", {"wild/wolves.txt"}),
        ("*s.txt", {"pets/dogs.txt", "wild/wolves.txt"}),
        ("*.pdf", set()),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_glob_limits_the_documents_and_loses_nothing(
    animals: Library, glob: str, paths: set[str], mode: str
) -> None:
    hits = Retriever(animals, WordEncoder()).search("night house day strangers packs", 20, mode, glob=glob)
    found = {hit.passage.path for hit in hits}
    assert found <= paths
    if mode != "lexical":
        assert found == paths


def test_type_limits_the_documents(animals: Library) -> None:
    hits = Retriever(animals, WordEncoder()).search("house", 20, kind="md")
    assert {hit.passage.kind for hit in hits} == {"md"}


def test_a_filter_finds_what_is_far_down_the_list(library: Library) -> None:
    put(library, "many.txt", *[f"apple pie {number}" for number in range(300)])
    put(library, "one.txt", "a single apple among unrelated other words of all sorts")
    for mode in MODES:
        hits = Retriever(library, WordEncoder()).search("apple pie", 3, mode, glob="one.txt")
        assert [hit.passage.path for hit in hits] == ["one.txt"]


def test_cap_per_document_fills_up_with_others(library: Library) -> None:
    put(library, "many.txt", *[f"apple pie {number}" for number in range(300)])
    put(library, "other.txt", "apple cake", "apple tart")
    hits = Retriever(library, WordEncoder()).search("apple pie", 4, "lexical", per_source=2)
    assert [hit.passage.path for hit in hits] == ["many.txt", "many.txt", "other.txt", "other.txt"]


def test_equal_passages_come_in_the_order_they_were_ingested(library: Library) -> None:
    for number in range(20):
        put(library, f"{number:02}.txt", "the very same words")
    for mode in MODES:
        hits = Retriever(library, WordEncoder()).search("same words", 12, mode)
        assert [hit.passage.path for hit in hits] == [f"{number:02}.txt" for number in range(12)]


def test_an_empty_library_gives_no_results(tmp_path: Path, library: Library) -> None:
    assert Retriever(library, WordEncoder()).search("anything") == []
    with Library.create(tmp_path / "bare" / ".assistant") as bare:
        assert Retriever(bare, None).search("anything") == []


def test_a_blank_query_gives_no_results(animals: Library) -> None:
    assert Retriever(animals, WordEncoder()).search(" \n") == []


def test_the_retriever_follows_changes(animals: Library) -> None:
    retriever = Retriever(animals, WordEncoder())
    assert retriever.search("zebra stripes", mode="lexical") == []
    put(animals, "zoo.txt", "zebra stripes")
    for mode in MODES:
        assert texts(retriever.search("zebra stripes", 1, mode)) == ["zebra stripes"]
    document = animals.document("zoo.txt")
    assert document is not None
    with animals.write() as writer:
        writer.rename(document.id, "savanna.txt")
    assert retriever.search("zebra stripes", 1)[0].passage.path == "savanna.txt"
    with animals.write() as writer:
        writer.remove_document(document.id)
    for mode in MODES:
        assert "zebra stripes" not in texts(retriever.search("zebra stripes", 9, mode))


def test_another_encoder_is_refused_with_the_command_that_mends_it(animals: Library) -> None:
    retriever = Retriever(animals, WordEncoder())
    with animals.write() as writer:
        writer.set_manifest("encoder_fingerprint", "another")
    with pytest.raises(Conflict) as refused:
        retriever.search("cats")
    assert "reindex" in str(refused.value.hint)


@pytest.mark.parametrize("bad", [{"mode": "magic"}, {"k": 0}, {"per_source": 0}])
def test_wrong_arguments_are_usage_errors(animals: Library, bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Retriever(animals, WordEncoder()).search("cats", **bad)  # type: ignore[arg-type]


def test_search_many_answers_in_order(animals: Library) -> None:
    found = Retriever(animals, WordEncoder()).search_many(["cats sleep", "dogs bark"], 1)
    assert [texts(hits) for hits in found] == [["cats sleep all day"], ["dogs bark at strangers"]]


class LongestFirst:
    """A reranker that likes long passages."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float64]:
        return np.array([len(passage) / 100 for passage in passages])


def test_a_reranker_has_the_last_word(animals: Library) -> None:
    hits = Retriever(animals, WordEncoder(), reranker=LongestFirst()).search("wolves howl", 2)
    assert hits[0].passage.text == "cats hunt mice at night"
    assert hits[0].score == pytest.approx(len("Cats\ncats hunt mice at night") / 100)
    assert [hit.rank for hit in hits] == [1, 2]


def test_it_is_a_langchain_retriever(animals: Library) -> None:
    from index.langchain_retriever import LibraryRetriever

    documents = LibraryRetriever(retriever=Retriever(animals, WordEncoder()), k=2).invoke("wolves howl")
    assert documents[0].page_content == "wolves howl at night"
    assert documents[0].metadata["source"] == "wild/wolves.txt"
    assert documents[0].metadata["line_start"] == 2
