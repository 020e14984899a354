"""AdamW over parameters of any precision, its sums kept in float32.

An adapter in bfloat16 has 8 bits of precision: an update below 1/256 of a weight is rounded away, and runs
at small learning rates stand still (TRL casts the adapters of quantised bases so, and keeps no copy). Here
the optimizer works on float32 copies and writes them back, so that forward and backward stay in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class MasterAdamW(torch.optim.AdamW):
    """AdamW on float32 copies of `parameters` (float32 parameters are their own copy)."""

    def __init__(self, parameters: Sequence[Parameter], *, lr: float, weight_decay: float) -> None:
        self._shown = list(parameters)
        self._masters = [
            one if one.dtype == torch.float32 else Parameter(one.detach().float()) for one in self._shown
        ]
        super().__init__(self._masters, lr=lr, betas=(0.9, 0.999), weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; gradients are taken from the parameters, and new values put back into them."""
        for shown, master in self._pairs():
            master.grad = None if shown.grad is None else shown.grad.float()
        loss: float | None = super().step(closure)
        for shown, master in self._pairs():
            shown.copy_(master)
            master.grad = None
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the parameters."""
        for one in self._shown:
            one.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """Copies and moments by name, for a checkpoint."""
        found: dict[str, Tensor] = {}
        for n, (shown, master) in enumerate(zip(self._shown, self._masters, strict=True)):
            if shown is not master:
                found[f"{n}.master"] = master.detach()
            found |= {f"{n}.{name}": self.state[master][name] for name in _MOMENTS if master in self.state}
        return found

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]) -> None:
        """Take back what `tensors()` and `settings()` gave, when the parameters have their values again."""
        for n, (shown, master) in enumerate(zip(self._shown, self._masters, strict=True)):
            if shown is not master:
                master.copy_(tensors[f"{n}.master"])
            if f"{n}.step" in tensors:
                self.state[master] = {
                    name: tensors[f"{n}.{name}"].to(master.device if name != "step" else "cpu")
                    for name in _MOMENTS
                }
        self.param_groups[0].update(settings)

    def settings(self) -> dict[str, Any]:
        """The learning rates of the group, which the schedule changes."""
        group = self.param_groups[0]
        return {name: group[name] for name in ("lr", "initial_lr") if name in group}

    def _pairs(self) -> list[tuple[Parameter, Parameter]]:
        pairs = zip(self._shown, self._masters, strict=True)
        return [(shown, master) for shown, master in pairs if shown is not master]
