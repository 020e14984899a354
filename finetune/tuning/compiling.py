"""`torch.compile` of a model's layers, where there is a compiler; without one a word, and the plain way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from finetune.tuning.methods import decoder_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_COMPILERS = ("c++", "g++", "clang++")


def may_compile(say: Callable[[str], None]) -> bool:
    """Whether there is a compiler; a line to `say` where there is none."""
    import torch

    compiler = any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS))
    if not compiler or (torch.cuda.is_available() and find_spec("triton") is None):
        say("There is no compiler for torch.compile here: going on without.")
        return False
    return True


def compile_layers(model: PreTrainedModel) -> None:
    """Have the layers of `model` compiled when first used."""
    for layer in decoder_layers(model):
        layer.compile(dynamic=True)
