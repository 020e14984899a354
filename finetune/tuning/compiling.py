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


def compile_layers(model: PreTrainedModel, say: Callable[[str], None]) -> bool:
    """Have the layers of `model` compiled when first used; False, and a line to `say`, where none can be."""
    import torch

    compiler = any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS))
    if not compiler or (torch.cuda.is_available() and find_spec("triton") is None):
        say("There is no compiler for torch.compile here: going on without.")
        return False
    for layer in decoder_layers(model):
        layer.compile(dynamic=True)
    return True
