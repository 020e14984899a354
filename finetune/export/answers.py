"""Greedy answers of a transformers model to ids, each token with its log-probability."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict
from finetune.export.source import Source
from index.vector_math import settle_vector_math

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Written:
    """The ids of an answer, without the one that ended it.

    `logs` are the natural logs of their probabilities, None where a program does not tell one. `gaps` say for
    each choice, that of the end too, how far the second best was behind, in the same unit; () if unknown.
    """

    ids: tuple[int, ...]
    logs: tuple[float | None, ...]
    gaps: tuple[float, ...] = ()


Answer = Callable[[Sequence[int]], Written]  # prompt ids -> what is written behind them


def greedy(model: PreTrainedModel, ends: Collection[int], most: int) -> Answer:
    """Answers of at most `most` tokens, up to the first of `ends`; probabilities in float32."""

    def answer(prompt: Sequence[int]) -> Written:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=model.config)
        step = torch.tensor([list(prompt)], device=model.device)
        ids: list[int] = []
        logs: list[float] = []
        gaps: list[float] = []
        for _ in range(most):
            with torch.inference_mode():
                out = model(input_ids=step, past_key_values=cache, use_cache=True, logits_to_keep=1)
            likely = torch.log_softmax(out.logits[0, -1].float(), dim=-1)
            (best, second), (token, _) = (one.tolist() for one in likely.topk(2))
            gaps.append(best - second)
            if token in ends:
                break
            ids.append(token)
            logs.append(best)
            step = torch.tensor([[token]], device=model.device)
        return Written(tuple(ids), tuple(logs), tuple(gaps))

    return answer


def load_source(source: Source) -> PreTrainedModel:
    """The model as it was trained and judged: the base in its precision then, the adapter beside it."""
    return load_whole(source.folder) if source.is_whole else load_adapted(source, source.folder)


def load_adapted(source: Source, folder: Path) -> PreTrainedModel:
    """The adapter in `folder` on the base of `source`. Raises Conflict."""
    from finetune.tuning.methods import load_for_training
    from finetune.tuning.settings import LORA_METHODS, TuneSettings

    method: Any = {"nf4": "qlora", "int8": "int8"}.get(source.rounding or "", source.method)
    settings = TuneSettings(method=method if method in LORA_METHODS else "lora")
    return load_for_training(source.base_folder, settings, folder).eval()  # type: ignore[no-untyped-call, no-any-return]


def load_whole(folder: Path) -> PreTrainedModel:
    """A model without an adapter, in the precision that answers are written in here. Raises Conflict."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from finetune.tuning.methods import compute_dtype

    settle_vector_math()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    options: dict[str, Any] = {"dtype": compute_dtype(), "attn_implementation": "sdpa"}
    if torch.cuda.is_available():
        options["device_map"] = {"": 0}
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
        )
    except (OSError, ValueError, KeyError) as error:
        raise Conflict(f"The model in {folder} cannot be used: {error}", code="model_unusable") from error
    return model.eval()  # type: ignore[no-untyped-call, no-any-return]
