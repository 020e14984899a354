"""What a file is, told from its first bytes and then from its name."""

from __future__ import annotations

import re
import struct
from pathlib import PurePath

from corpora.readers import ReadProblem
from corpora.readers.encoding import is_plain_text, may_be_text

_TEXT_SUFFIXES = {
    "txt": "txt", "text": "txt", "log": "txt", "md": "md", "markdown": "md", "mdown": "md", "mkd": "md",
    "mdx": "md", "qmd": "md", "rmd": "md", "rst": "rst", "rest": "rst", "html": "html", "htm": "html",
    "xhtml": "html", "csv": "csv", "tsv": "csv", "json": "json", "geojson": "json", "jsonl": "jsonl",
    "ndjson": "jsonl", "eml": "eml", "ipynb": "ipynb", "asc": "txt", "adoc": "txt", "asciidoc": "txt",
    "org": "txt", "srt": "txt", "vtt": "txt", "tex": "txt", "textile": "txt",
}  # fmt: skip
_CODE_SUFFIXES = {
    "py", "pyi", "pyx", "js", "mjs", "cjs", "jsx", "ts", "tsx", "java", "kt", "kts", "scala", "groovy",
    "c", "h", "cc", "cpp", "cxx", "hh", "hpp", "hxx", "cs", "rs", "go", "rb", "php", "pl", "pm", "swift",
    "m", "mm", "r", "jl", "lua", "sh", "bash", "zsh", "fish", "ps1", "bat", "cmd", "sql", "css", "scss",
    "sass", "less", "vue", "svelte", "xml", "xsd", "xsl", "xslt", "rss", "atom", "svg", "yaml", "yml",
    "toml", "ini", "cfg", "conf", "properties", "env", "gradle", "cmake", "mk", "dockerfile", "makefile",
    "proto", "graphql", "tf", "hcl", "ex", "exs", "erl", "hrl", "hs", "elm", "clj", "cljs", "lisp", "el",
    "scm", "ml", "mli", "fs", "fsx", "vb", "pas", "f", "f90", "f95", "asm", "s", "zig", "nim", "dart", "v",
    "vhd", "vhdl", "sv", "tcl", "awk", "sed", "diff", "patch", "ipy", "cu", "cl", "glsl", "wgsl", "nix",
    "dhall", "bzl", "bazel", "star", "thrift", "rake", "gemspec", "podspec", "sln", "csproj",
}  # fmt: skip
_CONTAINER_SUFFIXES = {
    "pdf": "pdf", "docx": "docx", "docm": "docx", "dotx": "docx", "pptx": "pptx", "pptm": "pptx",
    "ppsx": "pptx", "potx": "pptx", "xlsx": "xlsx", "xlsm": "xlsx", "xltx": "xlsx", "odt": "odt",
    "ott": "odt", "rtf": "rtf", "epub": "epub",
}  # fmt: skip
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF87a", "GIF image"),
    (b"GIF89a", "GIF image"),
    (b"II*\x00", "TIFF image"),
    (b"MM\x00*", "TIFF image"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"\x1f\x8b", "gzip archive"),
    (b"BZh", "bzip2 archive"),
    (b"\xfd7zXZ\x00", "xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (b"Rar!\x1a\x07", "RAR archive"),
    (b"\x28\xb5\x2f\xfd", "zstd archive"),
    (b"\x7fELF", "program"),
    (b"SQLite format 3\x00", "SQLite database"),
    (b"OggS\x00", "Ogg recording"),
    (b"ID3\x02", "MP3 recording"),
    (b"ID3\x03", "MP3 recording"),
    (b"ID3\x04", "MP3 recording"),
    (b"fLaC", "FLAC recording"),
    (b"%!PS", "PostScript"),
    (b"wOFF", "font"),
    (b"wOF2", "font"),
    (b"\x00asm", "program"),
)
_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_HTML_START = re.compile(  # possessive: one way only to read a run of comments
    rb"(?:\s++|<!--(?:(?!-->).)*+-->|<\?xml[^>]{0,200}\?>)*+<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)


def detect(data: bytes, name: str) -> str:
    """The kind of a file (a key of `READERS`) from all its bytes and its name.

    Raises ReadProblem: `empty` (no bytes), `unsupported` or `encrypted`.
    """
    if not data:
        raise ReadProblem("empty", "the file is empty")
    suffix = PurePath(name).suffix.lower().lstrip(".") or PurePath(name).name.lower()
    if data.startswith(b"%PDF-") or (suffix == "pdf" and b"%PDF-" in data[:1024]):
        return "pdf"
    if data.startswith(b"{\\rtf"):
        return "rtf"
    if data.startswith(_OLE2):
        raise _legacy_office(data, suffix)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(data, suffix)
    _refuse_known_binaries(data)
    if suffix in _CONTAINER_SUFFIXES and not (suffix == "rtf" and is_plain_text(data)):
        return "html" if _HTML_START.match(data[:5000]) else _CONTAINER_SUFFIXES[suffix]
    return _text_kind(data, suffix)


def _refuse_known_binaries(data: bytes) -> None:
    what = next((what for magic, what in _MAGIC if data.startswith(magic)), None)
    if what is None and data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        what = "picture or recording"
    if what is None and data[4:8] == b"ftyp":
        what = "video or picture"
    if what is None and data[257:262] == b"ustar":
        what = "tar archive"
    if what is not None:
        raise ReadProblem("unsupported", f"{what}: not a type that is read")


def is_source_code(name: str) -> bool:
    """Whether the suffix alone says that a text file is source code."""
    return PurePath(name).suffix.lower().lstrip(".") in _CODE_SUFFIXES


def _text_kind(data: bytes, suffix: str) -> str:
    kind = _TEXT_SUFFIXES.get(suffix) or ("code" if suffix in _CODE_SUFFIXES else None)
    if kind is None and not is_plain_text(data):
        label = f".{suffix}" if 0 < len(suffix) <= 10 else "binary"
        raise ReadProblem("unsupported", f"{label}: not a type that is read")
    if not may_be_text(data):
        raise ReadProblem("unsupported", f"binary data in a file named .{suffix}")
    if (kind in {None, "txt"} or suffix == "xml") and _HTML_START.match(data[:5000]):
        return "html"
    return kind or "txt"


def _legacy_office(data: bytes, suffix: str) -> ReadProblem:
    if _ENCRYPTED_PACKAGE in data:
        return ReadProblem("encrypted", "password protected; remove the password and ingest again")
    newer = {"doc": "docx", "xls": "xlsx", "ppt": "pptx"}.get(suffix)
    advice = f"; save it as .{newer}" if newer else ""
    return ReadProblem("unsupported", f"old binary Office or Outlook file{advice}")


def _zip_kind(data: bytes, suffix: str) -> str:
    names = _zip_names(data)
    by_suffix = _CONTAINER_SUFFIXES.get(suffix)
    if names is None:
        if by_suffix:
            return by_suffix  # its reader says what is wrong with it
        raise ReadProblem("unsupported", "ZIP archive: not unpacked")
    kind = _declared_mimetype(data) or _ooxml_kind(names, by_suffix)
    if kind is None and b"META-INF/container.xml" in names:
        kind = "epub"
    if kind is None and by_suffix and by_suffix not in {"pdf", "rtf"}:
        kind = by_suffix
    if kind is None:
        raise ReadProblem("unsupported", "ZIP archive: not unpacked")
    return kind


def _declared_mimetype(data: bytes) -> str | None:
    """ODF and EPUB put an uncompressed member `mimetype` first."""
    if data[30:38] != b"mimetype":
        return None
    declared = data[38:120]
    if declared.startswith(b"application/epub+zip"):
        return "epub"
    text = b"application/vnd.oasis.opendocument.text"
    if declared.startswith(text):
        return "odt"
    if declared.startswith(b"application/vnd.oasis.opendocument."):
        raise ReadProblem("unsupported", "OpenDocument, but not a text: save it as xlsx, pptx or PDF")
    return None


def _ooxml_kind(names: set[bytes], by_suffix: str | None) -> str | None:
    if not any(name.lower() == b"[content_types].xml" for name in names):
        return None
    folders = {name.split(b"/", 1)[0].lower() for name in names if b"/" in name}
    kinds = ((b"word", "docx"), (b"ppt", "pptx"), (b"xl", "xlsx"))
    found = [kind for folder, kind in kinds if folder in folders]
    if b"xl/workbook.bin" in names:
        raise ReadProblem("unsupported", "binary Excel workbook; save it as .xlsx")
    return by_suffix if by_suffix in found else (found[0] if found else None)


def _zip_names(data: bytes) -> set[bytes] | None:
    """Member names of the central directory (at most 10,000), or None where there is no whole one."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 66_000))
    if end < 0 or end + 22 > len(data):
        return None
    size, offset = struct.unpack_from("<II", data, end + 12)
    at = end - size if size <= end else offset
    names: set[bytes] = set()
    while len(names) < 10_000 and data[at : at + 4] == b"PK\x01\x02" and at + 46 <= len(data):
        name, extra, comment = struct.unpack_from("<HHH", data, at + 28)
        names.add(data[at + 46 : at + 46 + name])
        at += 46 + name + extra + comment
    return names or None
