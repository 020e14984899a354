"""E-mail messages: the usual headers, the body as text, the names of what is attached."""

from __future__ import annotations

from collections.abc import Iterator
from email import policy
from email.message import Message
from email.parser import BytesParser

from corpora.readers import ReadProblem
from corpora.readers.builder import TextBuilder
from corpora.readers.encoding import decode, is_utf16_or_32
from corpora.readers.hidden import visible
from corpora.readers.html import extract
from corpora.records import Extracted

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MOST_PARTS = 1000
_DEEPEST = 20


def read(data: bytes, name: str) -> Extracted:
    """One message (RFC 5322, MIME). Attachments, and messages within it, are named but not opened."""
    if not data.strip():
        raise ReadProblem("empty", "no visible text")
    if is_utf16_or_32(data):  # a message saved as text by an editor
        data = decode(data).text.encode("utf-8")
    message = BytesParser(policy=policy.default).parsebytes(data)
    if not message.keys():
        raise ReadProblem("damaged", "no e-mail headers")
    subject = _header(message, "Subject")
    builder = TextBuilder(subject or None)
    lines = [f"{title}: {value}" for title in _HEADERS if (value := _header(message, title))]
    builder.paragraph("\n".join(lines))
    notes: list[str] = []
    attached: list[str] = []
    for part in _body_parts(message, attached):
        content = _content(part, notes)
        if content is not None:
            builder.append(content)
    if attached:
        builder.paragraph("\n".join(f"Attachment: {what}" for what in attached))
    return builder.build("eml", tuple(dict.fromkeys(notes)))


def _header(message: Message, title: str) -> str:
    """A decoded header on one line; the raw one where the parser of the standard library trips over it."""
    try:
        value = str(message.get(title) or "")
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        value = next((str(raw) for key, raw in message.raw_items() if key.lower() == title.lower()), "")
    # Bytes that were in no charset come as surrogates.
    if any("\udc80" <= c <= "\udcff" for c in value):
        value = _raw_text(value.encode("utf-8", "surrogateescape"))
    return " ".join(visible(value).split())[:1000]


def _raw_text(data: bytes) -> str:
    try:
        return decode(data).text
    except ReadProblem:
        return data.decode("ascii", "ignore")


def _body_parts(message: Message, attached: list[str]) -> Iterator[Message]:
    """The text parts to show, in order; of alternatives the plain one. Names the rest in `attached`."""
    pending = [(message, 0)]
    taken = 0
    while pending and taken < _MOST_PARTS:
        part, depth = pending.pop()
        taken += 1
        kind = part.get_content_type()
        if kind == "message/rfc822":
            attached.append(_attachment(part, kind))
        elif part.is_multipart() and depth < _DEEPEST:
            inner = [child for child in part.get_payload() if isinstance(child, Message)]
            if kind == "multipart/alternative":
                inner = _preferred(inner)
            pending.extend((child, depth + 1) for child in reversed(inner))
        elif kind in {"text/plain", "text/html"} and not _is_attachment(part):
            yield part
        elif not part.is_multipart():
            attached.append(_attachment(part, kind))


def _preferred(alternatives: list[Message]) -> list[Message]:
    for wanted in ("text/plain", "text/html"):
        chosen = [part for part in alternatives if part.get_content_type() == wanted and _has_text(part)]
        if chosen:
            return chosen[:1]
    return alternatives[-1:]


def _has_text(part: Message) -> bool:
    payload = part.get_payload()
    return isinstance(payload, str) and bool(payload.strip())


def _is_attachment(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _attachment(part: Message, kind: str) -> str:
    try:
        filename = part.get_filename()
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        filename = None
    return f"{' '.join(visible(filename).split())[:200]} ({kind})" if filename else kind


def _content(part: Message, notes: list[str]) -> Extracted | None:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        return None
    is_html = part.get_content_type() == "text/html"
    charset = part.get_param("charset")
    decoded = decode(payload, markup=is_html, declared=charset if isinstance(charset, str) else None)
    notes.extend(decoded.notes)
    if is_html:
        return extract(decoded.text)
    return Extracted(decoded.text.strip("\n"), "eml")
