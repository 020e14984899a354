"""The retriever as a LangChain `BaseRetriever`, for chains and evaluators of that ecosystem."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from corpora.records import ScoredPassage
from index.retriever import Retriever


class LibraryRetriever(BaseRetriever):
    """`LibraryRetriever(retriever=Retriever(library, encoder), k=8).invoke("question")`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: int = 8
    mode: str = "hybrid"
    glob: str | None = None
    kind: str | None = None
    per_source: int | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        hits = self.retriever.search(query, self.k, self.mode, self.glob, self.kind, self.per_source)
        return [_document(hit) for hit in hits]


def _document(hit: ScoredPassage) -> Document:
    passage = hit.passage
    metadata: dict[str, Any] = {
        "source": passage.path,
        "rank": hit.rank,
        "score": hit.score,
        "document_id": passage.document_id,
        "kind": passage.kind,
        "page": passage.page,
        "heading": passage.heading,
        "line_start": passage.line_start,
        "line_end": passage.line_end,
        "start": passage.start,
        "end": passage.end,
    }
    return Document(page_content=passage.text, metadata=metadata, id=passage.id)
