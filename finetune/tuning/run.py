"""A training run from encoded rows to an adapter: probe, train, checkpoint, resume, keep the best."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict, UsageError
from finetune.tuning.encode import EncodedRow
from finetune.tuning.log import RunLog, read_log
from finetune.tuning.outcome import TuneResult, duration, note_outcome, outcome, restore_best, write_trained
from finetune.tuning.settings import TuneSettings
from index.cache_files import make_durable, sha256_of
from index.sync_options import Hooks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from finetune.tuning.batches import BatchPlan
    from finetune.tuning.checkpoints import Checkpoints
    from finetune.tuning.forward import Loss
    from finetune.tuning.probe import Estimate
    from finetune.tuning.trainer import Tuner

_FORMAT = 1
_RUN = "run.json"
_HEAD = 1 << 20  # bytes at both ends of a weights file that tell it from another


def tune(  # noqa: PLR0913 - one call is one run, and each of these decides it
    base_folder: Path,
    rows: Sequence[EncodedRow],
    validation: Sequence[EncodedRow],
    settings: TuneSettings,
    folder: Path,
    hooks: Hooks,
    *,
    start: Path | None = None,
    base_name: str | None = None,
    deadline: float | None = None,
) -> TuneResult:
    """Train on `rows` and leave the adapter of the best validation loss in `folder`/adapter.

    `folder` also gets run.json, log.jsonl, loss.png and checkpoints; called again with the same arguments,
    a run that was stopped or killed goes on, on a processor bit for bit. `start` is an adapter to begin
    from; `base_name` is what the adapter will call its base (None: its folder). At `deadline`, a value of
    time.monotonic(), training ends with the best that there is until then.

    Raises Conflict (code other_run) for a folder of another run, UsageError without rows, Missing where the
    memory does not suffice, StorageError.
    """
    if not rows:
        raise UsageError("There are no rows to train on.", code="nothing_to_train")
    if settings.packing and settings.method in {"prompt", "prefix", "p-tuning"}:
        raise UsageError(f"{settings.method} tuning cannot be packed: it would mix rows.")
    from finetune.tuning.memory import share_heap

    share_heap()  # before there are threads
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(base_folder, rows, validation, settings, folder, hooks, start, base_name, deadline)
    return run.go()


@dataclass(slots=True)
class _Run:
    base_folder: Path
    rows: Sequence[EncodedRow]
    validation: Sequence[EncodedRow]
    settings: TuneSettings
    folder: Path
    hooks: Hooks
    start: Path | None
    base_name: str | None
    deadline: float | None

    def go(self) -> TuneResult:
        from transformers import set_seed

        from finetune.chat_tokens import load_tokenizer
        from finetune.tuning.checkpoints import Checkpoints
        from finetune.tuning.compiling import compile_layers, may_compile
        from finetune.tuning.forward import Stopped, watch_for_stop
        from finetune.tuning.memory import give_back, reset_peak
        from finetune.tuning.methods import load_for_training, set_gradient_checkpointing
        from finetune.tuning.plot import PLOT_NAME, draw
        from finetune.tuning.ready import made_ready

        fingerprint = self.fingerprint()
        stored = self.stored_estimate(fingerprint)
        tokenizer = load_tokenizer(self.base_folder)
        set_seed(self.settings.seed)  # before the adapter is drawn
        model = load_for_training(self.base_folder, self.settings, self.start)
        compiled = self.settings.compile and may_compile(self.hooks.say)
        loss = made_ready(model, self.settings, self.rows, pad_id=_pad_id(tokenizer), compiled=compiled)
        share_to = stored.share_to if stored else self.share_to(loss)
        loss.workers = stored.workers if stored else loss.workers
        plan, total = self.plan(share_to)
        estimate = stored or self.probe(loss, plan, total, share_to)
        if estimate is None:
            return TuneResult(stopped=True)
        set_gradient_checkpointing(model, estimate.gradient_checkpointing)
        if stored is None:
            self.write_run(fingerprint, estimate)
        checkpoints = Checkpoints(
            self.folder / "checkpoints", fingerprint, keep=self.settings.keep_checkpoints, say=self.hooks.say
        )
        snapshot = checkpoints.newest()
        log = RunLog(self.folder, step=snapshot.step if snapshot else 0)
        tuner = self.tuner(loss, tokenizer, plan, total, estimate, checkpoints, log)
        reset_peak()
        if compiled:
            compile_layers(model)
        else:
            watch_for_stop(model, self.hooks.stop)
        resumed = snapshot.step if snapshot else None
        self.hooks.progress.start("tune", total - (resumed or 0))
        adapter, method = None, self.settings.method
        try:
            tuner.run(snapshot)
            best = restore_best(tuner, checkpoints, self.hooks.say)
            adapter = write_trained(model, method, self.base_folder, self.folder, self.base_name)
        except Stopped:
            best = tuner.best_step()
            if tuner.may_save:
                tuner.save_now()
        found = outcome(self.folder, estimate, adapter, tuner, resumed, best)
        draw(read_log(self.folder), self.folder / PLOT_NAME)
        if adapter is not None:
            note_outcome(found, estimate, log, self.hooks.say)
        del tuner, loss, model
        give_back()
        return found

    def share_to(self, loss: Loss) -> int | None:
        """Tokens of a line of rows that begin alike; None where rows are not to be put together so."""
        from finetune.tuning.probe import MICRO_TOKENS

        if not loss.forests or self.settings.packing:
            return None
        return self.settings.micro_tokens or MICRO_TOKENS["forest"]

    def plan(self, share_to: int | None) -> tuple[BatchPlan, int]:
        """The steps, and how many of them the run has."""
        from finetune.tuning.batches import BatchPlan

        settings = self.settings
        longest = max(len(row.input_ids) for row in self.rows)
        pack_to = max(longest, settings.micro_tokens or 2048) if settings.packing else None
        batch = min(settings.batch, len(self.rows))
        plan = BatchPlan(
            self.rows, batch=batch, micro=batch, seed=settings.seed, pack_to=pack_to, share_to=share_to
        )
        total = settings.max_steps or math.ceil(settings.epochs * plan.steps_per_epoch)
        return plan, total

    def probe(self, loss: Loss, plan: BatchPlan, total: int, share_to: int | None) -> Estimate | None:
        """Measure three steps and say what the run will take; None if the user stopped it."""
        from trl.trainer.utils import add_fused_lm_head

        from finetune.tuning.memory import give_back
        from finetune.tuning.methods import inner_model
        from finetune.tuning.probe import estimate, measure

        inner = inner_model(loss.model)
        original = inner.forward
        add_fused_lm_head(inner, outputs=("log_probs",))
        try:
            pace = measure(loss.model, loss, self.rows, self.hooks.stop)
        finally:
            inner.forward = original
            give_back()
        if self.hooks.stop():
            return None
        found = estimate(
            pace,
            plan,
            self.rows,
            self.settings,
            total=total,
            validation=self.validation,
            loss=loss,
        )
        found = replace(found, share_to=share_to)
        self.hooks.say(
            f"{total} steps, about {duration(found.seconds)} and {found.peak_bytes / 2**30:.1f} GiB, "
            f"{found.micro_tokens:,} tokens at a time (from three steps tried)."
        )
        return found

    def tuner(
        self,
        loss: Loss,
        tokenizer: PreTrainedTokenizerBase,
        plan: BatchPlan,
        total: int,
        estimate: Estimate,
        checkpoints: Checkpoints,
        log: RunLog,
    ) -> Tuner:
        from finetune.tuning.trainer import Course, Tuner
        from finetune.tuning.watch import Watch

        if self.validation and self.settings.evaluations:
            count = min(self.settings.evaluations, total)
            places = frozenset(round(total * n / count) for n in range(1, count + 1))
        else:
            places = frozenset()
        return Tuner(
            loss.model,
            tokenizer,
            Course(self.rows, plan, total, self.validation),
            self.settings,
            loss,
            micro_tokens=estimate.micro_tokens,
            checkpoints=checkpoints,
            watch=Watch(log, self.settings, self.hooks, places, self.deadline),
        )

    def fingerprint(self) -> str:
        """Names the run: base, rows, settings and start; what is equal in all of these goes equally."""
        digest = hashlib.sha256()
        for part in (self.rows, self.validation):
            for row in part:
                digest.update(json.dumps([row.input_ids, row.labels]).encode())
            digest.update(b"|")
        digest.update(json.dumps(self.settings.values(), sort_keys=True).encode())
        for path in sorted(self.base_folder.glob("*.safetensors")):
            digest.update(_ends_of(path))
        digest.update((self.base_folder / "config.json").read_bytes())
        if self.start is not None:
            digest.update(sha256_of(self.start / "adapter_model.safetensors").encode())
        return digest.hexdigest()

    def stored_estimate(self, fingerprint: str) -> Estimate | None:
        """That of this run, if it has begun. Raises Conflict for a folder of another run."""
        from finetune.tuning.probe import Estimate

        try:
            stored: dict[str, Any] = json.loads((self.folder / _RUN).read_bytes())
            same = stored["fingerprint"] == fingerprint
            estimate = Estimate(**stored["estimate"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise Conflict(f"{self.folder}/{_RUN} is damaged: {error}", code="other_run") from error
        if not same:
            raise Conflict(
                f"{self.folder} holds a run with other rows, settings or base.",
                hint="choose another name, or repeat the settings that it was begun with",
                code="other_run",
            )
        return estimate

    def write_run(self, fingerprint: str, estimate: Estimate) -> None:
        """Note what the run is, before its first step."""
        facts = {
            "format": _FORMAT,
            "fingerprint": fingerprint,
            "settings": self.settings.as_json(),
            "estimate": estimate.as_json(),
        }
        building = self.folder / f".tmp-{os.getpid()}-{_RUN}"
        building.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        make_durable([building])
        building.replace(self.folder / _RUN)
        make_durable([self.folder])


def _ends_of(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(size - _HEAD, 0))
        return head + file.read(_HEAD) + str(size).encode()


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(token, int):
            return token
    return 0
