"""What TRL's trainer is told; it only drives the loop, the rest is ours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig

from finetune.tuning.encode import EncodedRow
from finetune.tuning.settings import TuneSettings


def a_data_set(rows: Sequence[EncodedRow]) -> Any:
    """TRL wants a data set to look at; the loop gets its steps from the plan."""
    import datasets  # type: ignore[import-untyped]

    columns = {
        "input_ids": [list(row.input_ids) for row in rows],
        "labels": [list(row.labels) for row in rows],
    }
    return datasets.Dataset.from_dict(columns)


def trl_arguments(settings: TuneSettings, total: int, folder: Path) -> SFTConfig:
    """Arguments for a loop of `total` steps that neither saves nor evaluates nor prints by itself.

    What trackers write goes into `folder`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # TRL's defaults use names that transformers has renamed
        return SFTConfig(
            output_dir=str(folder),  # it is made at once, and must be a folder of ours
            per_device_train_batch_size=1,
            gradient_accumulation_steps=1,
            max_steps=total,
            max_length=None,
            max_grad_norm=settings.max_grad_norm,
            neftune_noise_alpha=settings.neftune,
            logging_steps=1,
            logging_nan_inf_filter=False,
            save_strategy="no",
            eval_strategy="no",
            report_to=settings.track,
            disable_tqdm=True,
            bf16=False,  # the model is in the precision that it is computed in
            fp16=False,
            gradient_checkpointing=False,
            remove_unused_columns=False,
            use_cpu=not torch.cuda.is_available(),
            seed=settings.seed,
            dataset_kwargs={"skip_prepare_dataset": True},
        )
