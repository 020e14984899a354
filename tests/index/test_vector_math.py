"""The first use of a vector function is as exact as all others, whatever the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

FIRST_AND_SECOND = """
import torch
{ready}
many = torch.rand(638, 64, generator=torch.Generator().manual_seed(1))
print(*(torch.equal(getattr(many, name)(), getattr(many, name)()) for name in ("exp", "cos", "tanh", "sqrt")))
"""
READY = "from index.vector_math import settle_vector_math; settle_vector_math()"


def in_fresh_process(code: str) -> str:
    # Threads that sleep until they are needed begin too far apart to be in each other's way.
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.slow  # without being made ready one process of seven is wrong: 40 miss it once in 400
def test_first_results_are_those_of_later_calls() -> None:
    found = {in_fresh_process(FIRST_AND_SECOND.format(ready=READY)) for _ in range(40)}
    assert found == {"True True True True\n"}


@pytest.mark.models
def test_a_model_is_loaded_with_vector_functions_made_ready(embedded_models: Any) -> None:
    code = (
        "from assistant.chat_models import load_chat_model\n"
        "from index.vector_math import settle_vector_math\n"
        "load_chat_model('smollm2-135m', offline=True); print(settle_vector_math.cache_info().currsize)"
    )
    assert in_fresh_process(code) == "1\n"
