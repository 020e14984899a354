"""`loss.png` of a run: training and validation loss, and perplexity, over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLOT_NAME = "loss.png"
_SMOOTHING = 0.9
_LARGEST = 50.0  # of a loss whose perplexity is drawn; above, the number is as good as infinite


def draw(lines: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the lines of a log (see `log.read_log`) as a PNG of 1200 by 700 pixels, without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    train = [(line["step"], line["loss"]) for line in lines if line.get("event") == "step"]
    held = [(line["step"], line["loss"]) for line in lines if line.get("event") == "evaluation"]
    figure = Figure(figsize=(12, 7), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if train:
        steps, losses = zip(*train, strict=True)
        axes.plot(steps, losses, color="tab:blue", alpha=0.25, linewidth=1)
        axes.plot(steps, _smoothed(losses), color="tab:blue", label="training loss (smoothed)")
    if held:
        steps, losses = zip(*held, strict=True)
        axes.plot(steps, losses, color="tab:orange", marker="o", label="validation loss")
        right = axes.twinx()
        perplexities = [math.exp(min(loss, _LARGEST)) for loss in losses]
        right.plot(steps, perplexities, color="tab:green", linestyle="--", marker=".", label="perplexity")
        right.set_ylabel("validation perplexity")
        right.legend(loc="upper center")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    if train or held:
        axes.legend(loc="upper right")
    figure.tight_layout()
    figure.savefig(path, format="png", metadata={"Software": None})


def _smoothed(values: Sequence[float]) -> list[float]:
    """Exponential mean, its start corrected."""
    mean, smooth = 0.0, []
    for n, value in enumerate(values, start=1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        smooth.append(mean / (1 - _SMOOTHING**n))
    return smooth
