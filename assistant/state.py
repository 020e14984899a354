"""Facts about an open library, as `status` and `doctor` show them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assistant.settings import Settings
    from corpora.store import Library


def library_state(library: Library, settings: Settings) -> dict[str, Any]:
    """The object that `status --json` prints; `bytes` is the size of the whole folder on disk."""
    from assistant.adapters import answering
    from assistant.chat_models import is_remote

    documents = library.documents()
    remote = is_remote(settings.model, settings.base_url)
    adapter = None if remote else answering(settings.model, settings.adapter, library)
    stale = adapter.state.stale if adapter and adapter.state else ()
    total_documents, total_passages = library.counts()
    return {
        "library": str(library.folder),
        "format": int(library.manifest("format_version") or 0),
        "generation": library.generation,
        "documents": total_documents,
        "passages": total_passages,
        "types": dict(Counter(document.kind for document in documents).most_common()),
        "roots": library.roots(),
        "encoder": library.manifest("encoder"),
        "chunk_tokens": int(value) if (value := library.manifest("chunk_tokens")) else None,
        "model": settings.model,
        "adapter": adapter.name if adapter else None,
        "adapter_standing": adapter.standing if adapter else None,
        "adapter_problem": adapter.problem if adapter else None,
        "adapter_stale": [{"path": d.path, "reason": d.reason} for d in stale],
        "stale": [{"path": d.path, "reason": d.stale} for d in documents if d.stale],
        "skipped": [{"path": s.path, "code": s.code, "reason": s.reason} for s in library.skipped()],
        "bytes": sum(file.stat().st_size for file in library.folder.rglob("*") if file.is_file()),
    }


def human_size(size: int) -> str:
    """Bytes in the unit that people would use: "812 B", "1.4 MB"."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
