"""Instruction data in the library: examples with their quotes, splits, work done, replies of teachers.

    store = ExampleStore(library)
    with library.write() as writer:
        store.add(writer, examples)
    store.find(status="accepted", split="train")

That a changed or removed document retires its examples is seen to by triggers (`corpora.store.schema`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from corpora.errors import UsageError
from corpora.examples import Example, Method, Split, Status
from corpora.store.database import Database
from corpora.store.example_rows import (
    Count,
    JudgeRecord,
    StoredReply,
    clean,
    example_row,
    quote_row,
    read_example,
    read_quote,
)
from corpora.store.records import stored_path
from corpora.store.writer import Writer

_EXAMPLE = (
    "SELECT number, id, status, reason, method, kind, language, question, input, answer, history, split,"
    " teacher, prompt_version, scores, reviewed, stale, created_at FROM examples"
)
_QUOTE = (
    'SELECT q.example, q.document_id, coalesce(d.path, q.path), q.sha256, q.passage_id, q.start, q."end",'
    " q.text FROM example_quotes AS q LEFT JOIN documents AS d ON d.number = q.document"
    " WHERE q.example IN (SELECT value FROM json_each(?)) ORDER BY q.example, q.ordinal"
)


class ExampleStore:
    """The examples of one open library. Writes go through the `Writer` of a transaction."""

    def __init__(self, library: Database) -> None:
        self._library = library

    # -- examples ----------------------------------------------------------------------------------

    def find(
        self,
        status: Status | None = None,
        split: Split | None = None,
        method: Method | None = None,
        path: str | None = None,
        limit: int | None = None,
    ) -> list[Example]:
        """Those that match all that is given, oldest first; `path` is of any of an example's quotes."""
        wanted = {"status": status, "split": split, "method": method}
        terms = [f"{name} = ?" for name, value in wanted.items() if value is not None]
        values: list[object] = [value for value in wanted.values() if value is not None]
        if path is not None:
            terms.append(
                "number IN (SELECT q.example FROM example_quotes AS q LEFT JOIN documents AS d"
                " ON d.number = q.document WHERE coalesce(d.path, q.path) = ?)"
            )
            values.append(stored_path(path))
        where = f" WHERE {' AND '.join(terms)}" if terms else ""
        values.append(-1 if limit is None else limit)
        return self._examples(f"{_EXAMPLE}{where} ORDER BY number LIMIT ?", values)

    def get(self, name: str) -> Example | None:
        """The example whose id is `name` or alone begins with it; UsageError where several do."""
        pattern = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = self._examples(
            f"{_EXAMPLE} WHERE id LIKE ? ESCAPE '\\' ORDER BY id = ? DESC, id LIMIT 2", (pattern, name)
        )
        if not name or not found:
            return None
        if len(found) > 1 and found[0].id != name:
            raise UsageError(f"{name!r} begins several ids.", hint="give more of its digits")
        return found[0]

    def counts(self) -> list[Count]:
        """How many examples there are of each sort."""
        rows = self._library.fetch(
            "SELECT status, reason, method, split, count(*) FROM examples"
            " GROUP BY status, reason, method, split ORDER BY status, reason, method, split"
        )
        return [Count(*row) for row in rows]

    def accepted_of(self, passage_ids: Iterable[str], method: Method) -> dict[str, int]:
        """How many accepted examples of a method rest on each of these passages, those that have any."""
        rows = self._library.fetch(
            "SELECT q.passage_id, count(DISTINCT e.number) FROM example_quotes AS q"
            " JOIN examples AS e ON e.number = q.example WHERE e.status = 'accepted' AND e.method = ?"
            " AND q.passage_id IN (SELECT value FROM json_each(?)) GROUP BY q.passage_id",
            (method, json.dumps(list(passage_ids))),
        )
        return dict(rows)

    def last_number(self) -> int:
        """Grows with every example that is added."""
        return int(self._library.fetch_one("SELECT coalesce(max(number), 0) FROM examples")[0])

    def counts_after(self, number: int, methods: Iterable[Method]) -> dict[str, int]:
        """How many were added after `last_number` said `number`: by "accepted" and by reject reason."""
        rows = self._library.fetch(
            "SELECT CASE status WHEN 'rejected' THEN reason ELSE 'accepted' END AS what, count(*)"
            " FROM examples WHERE number > ? AND method IN (SELECT value FROM json_each(?))"
            " AND status IN ('accepted', 'rejected') GROUP BY what ORDER BY what",
            (number, json.dumps(sorted(methods))),
        )
        return {str(what): int(n) for what, n in rows}

    def add(self, writer: Writer, examples: Iterable[Example]) -> int:
        """Put examples in; one whose id is there is left as it is, unless it was retired and is true again.

        Returns how many were put in.
        """
        added = 0
        for example in examples:
            writer.connection.execute(
                "DELETE FROM examples WHERE id = ? AND status = 'retired'", (example.id,)
            )
            cursor = writer.connection.execute(
                "INSERT OR IGNORE INTO examples (id, status, reason, method, kind, language, question, input,"
                " answer, history, split, teacher, prompt_version, scores, reviewed, stale, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                example_row(example),
            )
            if cursor.rowcount:
                added += 1
                writer.connection.executemany(
                    "INSERT INTO example_quotes VALUES"
                    " (?, ?, (SELECT number FROM documents WHERE id = ?), ?, ?, ?, ?, ?, ?, ?)",
                    [
                        quote_row(int(cursor.lastrowid or 0), ordinal, quote)
                        for ordinal, quote in enumerate(example.quotes)
                    ],
                )
        return added

    def set_status(self, writer: Writer, ids: Iterable[str], status: Status, reason: str | None) -> int:
        """Change what became of examples; returns how many there were."""
        cursor = writer.connection.executemany(
            "UPDATE examples SET status = ?, reason = ? WHERE id = ?",
            [(status, reason, name) for name in ids],
        )
        return int(cursor.rowcount)

    def _examples(self, query: str, values: Sequence[object]) -> list[Example]:
        with self._library.snapshot():
            rows = self._library.fetch(query, values)
            quotes = self._library.fetch(_QUOTE, (json.dumps([row[0] for row in rows]),))
        by_example = {
            number: tuple(read_quote(row) for row in group)
            for number, group in groupby(quotes, key=lambda row: row[0])
        }
        return [read_example(row, by_example.get(row[0], ())) for row in rows]

    # -- splits ------------------------------------------------------------------------------------

    def splits(self) -> dict[str, Split]:
        """The split of each document that has one, by document id."""
        return dict(
            self._library.fetch(
                "SELECT d.id, s.split FROM document_splits AS s JOIN documents AS d ON d.number = s.document"
            )
        )

    def set_splits(self, writer: Writer, splits: Mapping[str, Split]) -> None:
        """Settle the split of documents for good; one that is settled stays."""
        writer.connection.executemany(
            "INSERT OR IGNORE INTO document_splits SELECT number, ? FROM documents WHERE id = ?",
            [(split, document_id) for document_id, split in sorted(splits.items())],
        )

    # -- what was worked on ------------------------------------------------------------------------

    def taught(self, scope: str) -> set[str]:
        """The units (passage ids, numbers of rounds) that were worked on for `scope`."""
        return {row[0] for row in self._library.fetch("SELECT unit FROM taught WHERE scope = ?", (scope,))}

    def taught_passages(self, scope: str) -> int:
        """How many of the units for `scope` belong to a document."""
        query = "SELECT count(*) FROM taught WHERE scope = ? AND document IS NOT NULL"
        return int(self._library.fetch_one(query, (scope,))[0])

    def add_taught(self, writer: Writer, scope: str, units: Mapping[str, str | None]) -> None:
        """Note units as worked on, each with the id of its document, if it has one.

        They are forgotten when that document changes or goes.
        """
        writer.connection.executemany(
            "INSERT OR IGNORE INTO taught SELECT ?, ?, (SELECT number FROM documents WHERE id = ?)",
            [(scope, unit, document_id) for unit, document_id in units.items()],
        )

    # -- teachers and readers ----------------------------------------------------------------------

    def replies(self, keys: Iterable[str]) -> dict[str, StoredReply]:
        """The stored replies among `keys`."""
        rows = self._library.fetch(
            "SELECT key, teacher, text, cut, prompt_tokens, completion_tokens FROM teacher_replies"
            " WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(list(keys)),),
        )
        return {row[0]: StoredReply(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows}

    def add_replies(self, writer: Writer, replies: Iterable[StoredReply]) -> None:
        """Keep replies; the first one to a prompt stays."""
        writer.connection.executemany(
            "INSERT OR IGNORE INTO teacher_replies VALUES (?, ?, ?, ?, ?, ?)",
            [(r.key, r.teacher, clean(r.text), r.cut, r.prompt_tokens, r.completion_tokens) for r in replies],
        )

    def judge(self, reader: str, check: str) -> JudgeRecord | None:
        """What was measured of a reader, by its fingerprint."""
        row = self._library.fetch_one(
            "SELECT reader, test, auc, n FROM judges WHERE reader = ? AND test = ?", (reader, check)
        )
        return None if row is None else JudgeRecord(*row)

    def set_judge(self, writer: Writer, record: JudgeRecord) -> None:
        """Store a measurement."""
        writer.connection.execute(
            "REPLACE INTO judges VALUES (?, ?, ?, ?)", (record.reader, record.check, record.auc, record.n)
        )
