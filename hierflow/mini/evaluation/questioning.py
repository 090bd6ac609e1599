"""The yes/no judge's own figures: on drawn pictures, whose truth is known."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hierflow.mini.catalogue.grammar import ATTRIBUTE_NAMES, Attributes, prompt_for
from hierflow.mini.evaluation.judges import Judges, Shares
from hierflow.mini.evaluation.table import drawn
from hierflow.mini.training.claims import changed

COUNT: Final = 400
SEED: Final = 77
CALIBRATION_BINS: Final = 10


def one_attribute_changed(judges: Judges, count: int = COUNT, seed: int = SEED) -> dict[str, Shares]:
    """Return the share of right answers about full prompts: wrong in one attribute alone, and true."""
    pictures, truths = drawn(count, seed)
    rng = np.random.default_rng(seed)
    denied: dict[str, float | None] = {}
    for column, name in enumerate(ATTRIBUTE_NAMES):
        claims = [prompt_for(changed(truth, column, rng)) for truth in truths]
        denied[name] = float((judges.log_odds(pictures, claims) < 0).mean())
    affirmed = float((judges.log_odds(pictures, [prompt_for(truth) for truth in truths]) > 0).mean())
    return {f"{count} held-out renders": {**denied, "true prompt": affirmed}}


def damaged(judges: Judges, count: int = COUNT, seed: int = SEED) -> dict[str, Shares]:
    """Return the log-odds of true prompts on pictures that are more and more damaged: mean, and share of yes."""
    pictures, truths = drawn(count, seed)
    rng = np.random.default_rng(seed)
    stages = {"as drawn": pictures}
    for radius in (0.5, 1, 2, 4):
        stages[f"blurred, radius {radius:g}"] = np.stack([_blurred(picture, radius) for picture in pictures])
    for share in (0.1, 0.3):
        noise = rng.standard_normal(pictures.shape) * 255 * share
        stages[f"noise of {share:.0%}"] = np.clip(pictures + noise, 0, 255).astype(np.uint8)
    stages["another picture"] = np.roll(pictures, 1, axis=0)
    rows: dict[str, Shares] = {}
    for name, seen in stages.items():
        scores = judges.log_odds(seen, [prompt_for(truth) for truth in truths])
        rows[name] = {"mean log-odds": float(scores.mean()), "yes": float((scores > 0).mean())}
    return rows


def calibration(judges: Judges, count: int = COUNT, seed: int = SEED) -> float:
    """Return the expected calibration error of p(yes): half of the prompts true, half with one attribute changed."""
    pictures, truths = drawn(count, seed)
    rng = np.random.default_rng(seed)
    true = np.arange(count) % 2 == 0
    claims = [
        truth if is_true else _changed_somewhere(truth, rng) for truth, is_true in zip(truths, true, strict=True)
    ]
    said = 1 / (1 + np.exp(-judges.log_odds(pictures, [prompt_for(claim) for claim in claims])))
    bins = np.minimum((said * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(said[bins == k].mean() - true[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins)]
    return float(np.sum(gaps))


def _changed_somewhere(truth: Attributes, rng: np.random.Generator) -> Attributes:
    return changed(truth, int(rng.integers(len(truth))), rng)


def _blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))
