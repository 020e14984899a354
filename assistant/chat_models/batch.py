"""Many replies at a time from a local model, each as it would be written alone.

Prompts are read each by itself (see `reading`), short ones several in one pass; then all rows are written
side by side. What a row says does not depend on its neighbours: bit for bit where its prompt is read by
itself and the processor computes a row alike in every batch (as it did in bfloat16 with up to 32 rows on
AMX), else but for the rounding of sums. The same rows in the same order give the same replies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assistant.chat_models.decoding import Decoder, PaddedDecoder, SlotDecoder
from assistant.chat_models.reading import read_each
from assistant.chat_models.refusing import RefusalRule
from assistant.chat_models.sampling import Chooser
from assistant.chat_models.tokens import GrowingText, before_stop
from corpora.records import Usage
from finetune.teacher import Ask, Reply

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from assistant.chat_models.prefill import Layers, Prefiller

_BYTES_TOGETHER = 2 << 30  # of the keys and values of rows that are written side by side

Watch = Callable[[str], bool]


@dataclass(slots=True)
class Meter:
    """Counts what models have read and written, and in how many seconds."""

    read_tokens: int = 0
    read_seconds: float = 0.0
    written_tokens: int = 0
    written_seconds: float = 0.0


class Row:
    """One reply as it grows, of at most `limit` tokens behind `prompt` ids; `rule` says when it refuses.

    The first `stem` ids begin other prompts too. `watch` is given the text as it comes, and ends the row by
    False.
    """

    def __init__(
        self,
        ask: Ask,
        prompt: Sequence[int],
        limit: int,
        tokenizer: PreTrainedTokenizerBase,
        *,
        stem: int = 0,
        rule: RefusalRule | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.prompt, self.stem, self.limit, self._rule = prompt, stem, limit, rule
        self._stops, self._watch = ask.stop, watch
        self._growing = GrowingText(tokenizer)
        self._text, self._tokens, self._given = "", 0, 0
        self._cut = True
        self.chooser = Chooser(ask)

    def push(self, token: int, stop_ids: frozenset[int]) -> bool:
        """Takes the next token. Whether the row goes on."""
        if token in stop_ids:
            self._cut = False
            return self._end()
        self._tokens += 1
        self._text += self._growing.push(token)
        certain, stopped = before_stop(self._text, self._stops)
        wanted = self._show(certain)
        if stopped or not wanted:
            self._cut = False
            self._text = self._text[:certain]
            return False
        return self._tokens < self.limit or self._end()

    def opened(self, logits: torch.Tensor) -> torch.Tensor | None:
        """The logits of the first token as they are to be used; None where the whole reply is a refusal."""
        if self._rule is None:
            return logits
        if not self._rule.refuses(logits):
            return self._rule.without_refusal(logits)
        said = self._rule.ids[: self.limit]
        self._tokens, self._cut = len(said), len(said) < len(self._rule.ids)
        self._text = "".join(self._growing.push(token) for token in said)
        self._end()
        return None

    def reply(self) -> Reply:
        """What was written."""
        return Reply(self._text, cut=self._cut, usage=Usage(len(self.prompt), self._tokens))

    @property
    def written(self) -> int:
        """Tokens written so far."""
        return self._tokens

    def _show(self, certain: int) -> bool:
        piece, self._given = self._text[self._given : certain], max(self._given, certain)
        return self._watch is None or self._watch(piece)

    def _end(self) -> bool:
        self._text += self._growing.rest()
        self._show(len(self._text))
        return False


def write_rows(
    rows: Sequence[Row],
    prefiller: Prefiller,
    model: PreTrainedModel,
    stop_ids: frozenset[int],
    *,
    stopped: Callable[[], bool],
    meter: Meter,
) -> bool:
    """Writes all `rows` to their end, side by side; False where it was stopped before that."""
    if not prefiller.keeps_places:
        return _write_padded(rows, prefiller, model, stop_ids, stopped, meter)
    for group in _groups(rows, _bytes_a_token(model)):
        going, first, kept = [], [], []
        for row, logits, layers in _timed(read_each(group, prefiller, stopped), meter):
            meter.read_tokens += len(row.prompt)
            opened = row.opened(logits)
            if opened is not None:
                going.append(row)
                first.append(opened)
                kept.append(layers)
        if stopped():
            return False
        if going and not _write(going, first, SlotDecoder(model, kept), stop_ids, stopped, meter):
            return False
    return True


def _write(
    rows: Sequence[Row],
    first: Sequence[torch.Tensor],
    decoder: Decoder,
    stop_ids: frozenset[int],
    stopped: Callable[[], bool],
    meter: Meter,
) -> bool:
    """From the logits of the first tokens to the end of every row; False where it was stopped."""
    import torch

    began, going, logits = time.perf_counter(), list(rows), torch.stack(list(first))
    while going and not stopped():
        tokens = _chosen(going, logits)
        kept = [n for n, row in enumerate(going) if row.push(tokens[n], stop_ids)]
        if len(kept) < len(going):
            going = [going[n] for n in kept]
            if kept:
                decoder.keep(kept)
        if kept:
            logits = decoder.step([tokens[n] for n in kept])
    meter.written_tokens += sum(row.written for row in rows)
    meter.written_seconds += time.perf_counter() - began
    return not going


def _write_padded(
    rows: Sequence[Row],
    prefiller: Prefiller,
    model: PreTrainedModel,
    stop_ids: frozenset[int],
    stopped: Callable[[], bool],
    meter: Meter,
) -> bool:
    """Of any other model: prompts are read in one batch, and go on in it."""
    began = time.perf_counter()
    batch = prefiller.read([row.prompt for row in rows])
    meter.read_tokens += sum(len(row.prompt) for row in rows)
    meter.read_seconds += time.perf_counter() - began
    opened = [row.opened(batch.logits[n, -1]) for n, row in enumerate(rows)]
    kept = [n for n, logits in enumerate(opened) if logits is not None]
    if not kept:
        return True
    decoder = PaddedDecoder(model, batch.cache, batch.mask, batch.lengths)
    if len(kept) < len(rows):
        decoder.keep(kept)
    first = [logits for logits in opened if logits is not None]
    return _write([rows[n] for n in kept], first, decoder, stop_ids, stopped, meter)


def _groups(rows: Sequence[Row], bytes_a_token: int) -> Iterator[list[Row]]:
    """`rows` by the length of their prompts, as many at a time as the memory takes."""
    group: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.prompt)):  # stable: equal ones stay in order
        longest = len(row.prompt) + row.limit
        if group and (len(group) + 1) * longest * bytes_a_token > _BYTES_TOGETHER:
            yield group
            group = []
        group.append(row)
    yield group


def _bytes_a_token(model: PreTrainedModel) -> int:
    """Of keys and values in all layers; 0 where the configuration does not tell."""
    config: Any = model.config
    heads = getattr(config, "num_attention_heads", 0) or 0
    size = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 0) // max(1, heads)
    kept = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * getattr(config, "num_hidden_layers", 0) * kept * size * model.dtype.itemsize)


def _timed(
    read: Iterator[tuple[Row, torch.Tensor, Layers]], meter: Meter
) -> Iterator[tuple[Row, torch.Tensor, Layers]]:
    began = time.perf_counter()
    for one in read:
        meter.read_seconds += time.perf_counter() - began
        yield one
        began = time.perf_counter()


def _chosen(rows: Sequence[Row], logits: torch.Tensor) -> list[int]:
    largest: list[int] = logits.argmax(dim=-1).tolist()
    return [largest[n] if row.chooser.plain else row.chooser.choose(logits[n]) for n, row in enumerate(rows)]
