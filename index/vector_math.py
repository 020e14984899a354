"""Vector functions of oneMKL, which torch calls for `cos`, `exp` and the like, made ready before their use.

In the oneMKL 2024.2 of torch's wheels, the first call of a function finds its code, and where several threads
make it at once, one of them may compute its share with the least exact code there is: errors of 1e-4 instead
of 1e-7, in one of seven processes on two cores (pytorch/pytorch#188792). A first reply then differs.
"""

from __future__ import annotations

from functools import cache

_FUNCTIONS = ("cos", "sin", "exp", "erf", "tanh", "log", "log1p", "sqrt")  # what models and optimisers call


@cache
def settle_vector_math() -> None:
    """Call each function once in this thread alone; to be called before a model is loaded or used."""
    import torch

    for name in _FUNCTIONS:
        for dtype in (torch.float32, torch.float64):
            getattr(torch, name)(torch.full((1,), 0.5, dtype=dtype))
