"""Readers: each turns the bytes of one file into text with a map back to page, heading and block.

A reader is `read(data: bytes, name: str) -> Extracted` and raises `ReadProblem` when there is nothing
to read. Readers run only in the child processes of `corpora.readers.sandbox`, under limits of memory,
CPU and time, so they need no guard of their own against a file that takes too much of any; they must
not recurse over a document's nesting, open files or print.
"""

from __future__ import annotations

from corpora.records import SkipCode

READERS: dict[str, str] = {
    "txt": "corpora.readers.plain:read_txt",
    "md": "corpora.readers.plain:read_md",
    "rst": "corpora.readers.plain:read_rst",
    "html": "corpora.readers.html:read",
    "pdf": "corpora.readers.pdf:read",
    "docx": "corpora.readers.docx:read",
    "pptx": "corpora.readers.pptx:read",
    "xlsx": "corpora.readers.xlsx:read",
    "odt": "corpora.readers.odt:read",
    "rtf": "corpora.readers.rtf:read",
    "csv": "corpora.readers.plain:read_csv",
    "json": "corpora.readers.plain:read_json",
    "jsonl": "corpora.readers.plain:read_jsonl",
    "epub": "corpora.readers.epub:read",
    "eml": "corpora.readers.mail:read",
    "ipynb": "corpora.readers.notebook:read",
    "code": "corpora.readers.plain:read_code",
}
"""Kind to "module:function", imported by the child when the first file of that kind comes."""


class ReadProblem(Exception):
    """Why a file gives no text: a code of `corpora.records.SkipCode` and one line for people."""

    def __init__(self, code: SkipCode, reason: str) -> None:
        super().__init__(reason)
        self.code: SkipCode = code
        self.reason = reason
