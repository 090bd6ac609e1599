"""All figures of a model and its judges, in one pass."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hierflow.mini.catalogue.grammar import prompt_for
from hierflow.mini.catalogue.render import render
from hierflow.mini.evaluation import prompts
from hierflow.mini.evaluation.draws import draw_similarity, picture_similarity
from hierflow.mini.evaluation.judges import Judges, Shares, as_markdown
from hierflow.mini.evaluation.picture import COLUMNS, beside_renders
from hierflow.mini.evaluation.questioning import calibration, damaged, one_attribute_changed
from hierflow.mini.evaluation.sampling import GUIDANCE, MiniModel
from hierflow.mini.evaluation.table import HELD_OUT_COUNT, RENDER_COUNT, draw_rows, drawn_rows, generated_rows

DIFFER: Final = "share of such pairs that differ in an attribute left open"
SHOWN: Final = 3 * COLUMNS
DRAWN_EACH: Final = 6
COMBINATIONS: Final = 20


@dataclass(frozen=True)
class Figures:
    """Tables by title, and single figures by what they say."""

    tables: dict[str, dict[str, Shares]]
    single: dict[str, float]

    def as_markdown(self) -> str:
        """Lay all of it out."""
        parts = [f"{title}\n\n{as_markdown(rows)}" for title, rows in self.tables.items()]
        parts.append("\n".join(f"- {name}: {value:.3f}" for name, value in self.single.items()))
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> str:
        """Write all of it for programs."""
        content: dict[str, Any] = {"tables": self.tables, "single": self.single}
        return json.dumps(content, indent=2) + "\n"


def measure(
    model: MiniModel, judges: Judges, picture: Path | None = None, *, seed: int = 0, share: float = 1.0
) -> Figures:
    """Measure a model and its judges.

    Args:
        picture: where to write renders beside generated pictures.
        seed: of all noise.
        share: of the usual number of pictures.
    """
    renders, held_out = max(4, round(RENDER_COUNT * share)), max(4, round(HELD_OUT_COUNT * share))
    most = None if share >= 1 else max(4, round(200 * share))

    def keep(name: str, texts: Sequence[str], pictures: NDArray[np.uint8]) -> None:
        if picture is not None and "held-out" in name:
            beside_renders(texts[:SHOWN], pictures[:SHOWN], picture)

    rows = drawn_rows(model, judges, renders)
    rows |= generated_rows(model, judges, seed=seed, held_out=held_out, most=most, keep=keep)
    draws, differ = draw_rows(model, judges, prompts.colored_products()[:: 2 if most is None else 30], seed)
    tables = {
        "By the classifier; `yes` and `judges agree`: by the yes/no judge": rows,
        "The yes/no judge: share of right answers": one_attribute_changed(judges, renders),
        "The yes/no judge on true prompts": damaged(judges, renders),
        'Two draws of the prior for "a red mug" and the like, with the same noise for the decoder': draws,
    }
    single = {**draw_figures(model), "calibration error of p(yes)": calibration(judges, renders)}
    return Figures(tables, {**single, DIFFER: differ})


def draw_figures(model: MiniModel) -> dict[str, float]:
    """Return the cosines between draws of the prior, and between pictures, for one prompt."""
    combinations = prompts.held_out(COMBINATIONS)
    rng = np.random.default_rng(0)
    pictures = [np.stack([render(one, rng) for _ in range(DRAWN_EACH)]) for one in combinations]
    bare, colored = sorted(set(prompts.products())), prompts.colored_products()[::6]
    full = [prompt_for(one) for one in combinations]
    figures = {"cosine of two drawn pictures of one full prompt": picture_similarity(model, pictures)}
    for guidance in (1.0, GUIDANCE):
        for name, texts in {"full prompts": full, '"a red mug"': colored, '"a fish"': bare}.items():
            similarity = draw_similarity(model, texts, guidance=guidance)
            figures[f"cosine of two draws of the prior, guidance {guidance:g}, {name}"] = similarity
    return figures
