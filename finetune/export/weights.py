"""The weights of a base with an adapter in them, one tensor at a time, so that any size fits in memory."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from corpora.errors import Conflict
from finetune.adapters.fitting import by_module
from finetune.adapters.weights import WEIGHTS
from finetune.export.rounding import rounded, rounded_weights
from finetune.export.source import Source

if TYPE_CHECKING:
    import torch

_PREFIX = "base_model.model."
_A, _B, _MAGNITUDE = "lora_A.weight", "lora_B.weight", "lora_magnitude_vector"
_LONGEST_HEADER = 100 << 20
_FLOATS = {"F32", "F16", "BF16", "F64"}


@dataclass(frozen=True, slots=True)
class WeightInfo:
    """A tensor of the result; `dtype` is spelled as in safetensors (F32, BF16, ...)."""

    name: str
    file: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


class TunedWeights:
    """`with TunedWeights(source) as weights: weights.read(name)`; `infos` are in the order of the files.

    Raises Conflict where the adapter changes layers that the base's files do not have.
    """

    def __init__(self, source: Source) -> None:
        source.require_mergeable()
        self._source = source
        self._stack = ExitStack()
        self._files: dict[str, Any] = {}
        self._rounded = rounded_weights(source.base_folder) if source.rounding else frozenset()
        self.infos = [
            info
            for path in sorted(source.weights_folder.glob("*.safetensors"))
            for info in self._listed(path)
        ]
        if not self.infos:
            raise Conflict(
                f"There are no safetensors weights in {source.weights_folder}.", code="model_unusable"
            )
        self._by_name = {info.name: info for info in self.infos}
        self._lora = {} if source.is_whole else self._open_adapter()

    def __enter__(self) -> TunedWeights:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, name: str) -> torch.Tensor:
        """The tensor `name`; what the adapter changes is computed and given in float32."""
        info = self._by_name[name]
        weight: torch.Tensor = self._open(self._source.weights_folder / info.file).get_tensor(name)
        if self._source.rounding and weight.is_floating_point():
            import torch

            whole = weight.to(torch.bfloat16)
            weight = rounded(whole, self._source.rounding) if name in self._rounded else whole
        keys = self._lora.get(name)
        return weight if keys is None else self._changed(name, weight, keys)

    def _changed(self, name: str, weight: torch.Tensor, keys: dict[str, str]) -> torch.Tensor:
        """W + s B A, and for DoRA its rows scaled to the length that was learnt; summed in float32."""
        import torch

        config = self._source.config
        assert config is not None  # noqa: S101 - only an adapter has such keys
        file = self._open(self._source.folder / WEIGHTS)
        a, b = (file.get_tensor(keys[side]).float() for side in (_A, _B))
        alpha = by_module(config.alphas, name.removesuffix(".weight"), config.alpha)
        scale = alpha / (math.sqrt(a.shape[0]) if config.rank_stabilised else a.shape[0])
        changed = weight.float().addmm_(b, a, alpha=scale)
        if config.dora:
            length = torch.linalg.vector_norm(changed, dim=1)
            changed *= (file.get_tensor(keys[_MAGNITUDE]).float().flatten() / length).unsqueeze(1)
        return changed

    def _open_adapter(self) -> dict[str, dict[str, str]]:
        """Names of the adapter's tensors by the weight that they change."""
        found: dict[str, dict[str, str]] = {}
        for key in self._open(self._source.folder / WEIGHTS).keys():  # noqa: SIM118 - no mapping
            side = next(side for side in (_A, _B, _MAGNITUDE) if key.endswith(side))
            module = key.removeprefix(_PREFIX).removesuffix(f".{side}")
            found.setdefault(f"{module}.weight", {})[side] = key
        unknown = sorted(found.keys() - self._by_name.keys())
        if unknown:
            raise Conflict(
                f"The adapter changes {unknown[0].removesuffix('.weight')}, which the files of "
                f"{self._source.base_name} do not hold under that name.",
                hint=f"assistant export {self._source.name} --format peft -o FOLDER",
                code="not_mergeable",
            )
        return found

    def _open(self, path: Path) -> Any:
        from safetensors import SafetensorError, safe_open

        name = str(path)
        try:
            if name not in self._files:
                self._files[name] = self._stack.enter_context(safe_open(name, framework="pt"))
        except SafetensorError as error:
            raise Conflict(f"{path} is no sound safetensors file: {error}.", code="model_unusable") from error
        return self._files[name]

    def _listed(self, path: Path) -> list[WeightInfo]:
        """From the header alone, in the order of the bytes. Raises Conflict for a damaged file."""
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > _LONGEST_HEADER:
                    raise ValueError("its header is too long")
                header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            in_order = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
            return [
                WeightInfo(name, path.name, tuple(one["shape"]), self._dtype(one["dtype"]))
                for name, one in in_order
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Conflict(f"{path} is no sound safetensors file: {error}.", code="model_unusable") from error

    def _dtype(self, stored: str) -> str:
        """A base that was trained on in few bits was bfloat16 in all the rest."""
        return "BF16" if self._source.rounding and stored in _FLOATS else stored
