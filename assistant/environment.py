"""The environment that heavy libraries find when they are imported."""

from __future__ import annotations

import logging
import os
import sys


def quiet_third_parties() -> None:
    """Tracing, telemetry and hub code off, whatever the environment says; before any heavy import."""
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING_V2"):
        os.environ[name] = "false"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["USE_HUB_KERNELS"] = "NO"
    # On some processors bitsandbytes fetches code from a hub through this package when it is imported. An
    # entry of None makes every import of it fail as if it were not installed; then it says so, in a warning.
    sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # libgomp's threads spin while they wait for each other. Where another program wants the cores too, that
    # takes ten times the processor time and a tenth of the tokens a second (0.4 against 5.6, measured on two
    # cores at load 7); on idle cores sleeping costs nothing that could be measured.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
