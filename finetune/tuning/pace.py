"""How fast this machine trains this base: three steps, before it is known how much there will be to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.tuning.encode import EncodedRow
from finetune.tuning.settings import TuneSettings

if TYPE_CHECKING:
    from finetune.tuning.probe import Pace


def measure_pace(
    base_folder: Path,
    rows: Sequence[EncodedRow],
    settings: TuneSettings,
    stop: Callable[[], bool],
    *,
    start: Path | None = None,
) -> Pace:
    """The pace on rows of middling length among `rows`; the model is loaded for it and let go again."""
    from transformers import set_seed
    from trl.trainer.utils import add_fused_lm_head

    from finetune.chat_tokens import load_tokenizer
    from finetune.tuning.memory import give_back, share_heap
    from finetune.tuning.methods import inner_model, load_for_training, set_gradient_checkpointing
    from finetune.tuning.probe import measure
    from finetune.tuning.ready import made_ready

    share_heap()  # before there are threads
    set_seed(settings.seed)
    model = load_for_training(base_folder, settings, start)
    pad = load_tokenizer(base_folder).pad_token_id
    loss = made_ready(model, settings, rows, pad_id=pad if isinstance(pad, int) else 0)
    set_gradient_checkpointing(model, bool(settings.gradient_checkpointing))
    add_fused_lm_head(inner_model(model), outputs=("log_probs",))
    pace = measure(model, loss, rows, stop)
    del model, loss
    give_back()
    return pace
