"""What must be true of the rows before a model is trained on them; else a clear error, and no training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpora.errors import Conflict, UsageError
from finetune.tuning.encode import IGNORED, PASSAGE, EncodedRow

_CUT_AT_MOST = 0.01  # of the rows: so many may be over the length and are left out
_LONGEST = 3
_NAMED = 3  # rows that an error names


@dataclass(frozen=True, slots=True)
class Preflight:
    """Rows that passed, and what they hold. Lengths are in tokens.

    `kept` are the rows to train on, in their order; `too_long` is how many were left out, since their
    answers would have been cut. `kinds` counts the rows that are kept; `longest` are (id, tokens) of them.
    """

    kept: tuple[EncodedRow, ...]
    too_long: int
    tokens: int
    trained: int
    kinds: Mapping[str, int]
    longest: tuple[tuple[str, int], ...]

    @property
    def share_trained(self) -> float:
        """Of all tokens, those that carry loss."""
        return self.trained / self.tokens


def check(
    rows: Sequence[EncodedRow],
    *,
    ends: frozenset[int],
    max_length: int,
    template: str,
    base_template: str,
) -> Preflight:
    """The rows to train on. `ends` are the base's end tokens, `template` the hash that rows were made with.

    Raises Conflict for rows of another template, without their end token, or with a prompt that is no
    prefix; UsageError for nothing to train on, and for answers of which over 1 % would be cut.
    """
    if template != base_template:
        raise Conflict(
            "The rows were made with another chat template than this base model has.",
            hint="make them anew for this base model",
            code="wrong_template",
        )
    if not any(row.trained for row in rows):
        raise UsageError(
            f"None of the {len(rows)} rows has a token to train on." if rows else "There are no rows.",
            hint="assistant generate, or --data FILE with answers",
            code="nothing_to_train",
        )
    _refuse(
        [row for row in rows if not row.trained],
        "has no token to train on: its answer is empty or was cut off",
        "all_masked",
    )
    _refuse(
        [row for row in rows if not _prompt_is_prefix(row)],
        "does not have its prompt in front and its answer behind it",
        "prompt_no_prefix",
    )
    _refuse(
        [row for row in rows if row.kind != PASSAGE and row.labels[-1] not in ends],
        "lacks the token that ends its answer: the model would learn never to stop",
        "no_end_token",
    )
    kept = tuple(row for row in rows if len(row.input_ids) <= max_length)
    _check_length(rows, len(rows) - len(kept), max_length)
    lengths = sorted(((row.id, len(row.input_ids)) for row in kept), key=lambda pair: -pair[1])
    return Preflight(
        kept=kept,
        too_long=len(rows) - len(kept),
        tokens=sum(tokens for _, tokens in lengths),
        trained=sum(row.trained for row in kept),
        kinds=dict(sorted(Counter(row.kind for row in kept).items())),
        longest=tuple(lengths[:_LONGEST]),
    )


def _prompt_is_prefix(row: EncodedRow) -> bool:
    """Tokens without loss come first, then to the end those with loss, which are the row's own."""
    start = len(row.labels) - row.trained
    return (
        len(row.labels) == len(row.input_ids)
        and start > 0  # the first token is predicted by nothing
        and IGNORED not in row.labels[start:]
        and row.labels[start:] == row.input_ids[start:]
    )


def _refuse(bad: Sequence[EncodedRow], what: str, code: str) -> None:
    if not bad:
        return
    names = ", ".join(row.id or "?" for row in bad[:_NAMED])
    more = f" ({len(bad)} rows: {names}{', ...' if len(bad) > _NAMED else ''})"
    raise Conflict(f"A row {what}{more}.", hint="assistant tune --inspect shows rows", code=code)


def _check_length(rows: Sequence[EncodedRow], over: int, max_length: int) -> None:
    if over <= _CUT_AT_MOST * len(rows):
        return
    # The length at which all but the rows that may be left out fit.
    lengths = sorted(len(row.input_ids) for row in rows)
    enough = lengths[len(rows) - 1 - int(_CUT_AT_MOST * len(rows))]
    raise UsageError(
        f"{over} of {len(rows)} rows are over {max_length} tokens, so that their answers would be cut.",
        hint=f"--max-length {enough}, or fewer passages a row",
        code="answers_cut",
    )
