"""Both judges on the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierflow.errors import RunError
from hierflow.mini import YES_NO_JUDGE
from hierflow.mini.catalogue.grammar import ParsedPrompt, parse_prompt, prompt_of
from hierflow.mini.evaluation.manifest import mentioned_accuracy, mentioned_right
from hierflow.mini.judges.classifier import WEIGHTS_FILE, AttributeClassifier, load_classifier
from hierflow.scoring.vqa import VqaScore, load_vqa

Shares = Mapping[str, float | None]
"""Figures by column; None where there is none."""


@dataclass(frozen=True)
class Judges:
    """The classifier, which reads attributes, and the yes/no judge, which is asked about prompts."""

    classifier: AttributeClassifier
    yes_no: VqaScore

    def log_odds(self, images: NDArray[np.uint8], prompts: Sequence[str]) -> NDArray[np.float64]:
        """Return how sure the yes/no judge is that each picture shows its prompt.

        Raises:
            RunError: it gave something that is not a number: such a judge has no figures.
        """
        log_odds = np.array(self.yes_no.score(list(images), prompts), np.float64)
        if broken := np.flatnonzero(~np.isfinite(log_odds)).tolist():
            raise RunError(f"the yes/no judge's log-odds of {prompts[broken[0]]!r} are {log_odds[broken[0]]}")
        return log_odds

    def row(self, images: NDArray[np.uint8], wanted: Sequence[str | ParsedPrompt]) -> dict[str, float | None]:
        """Return what share of the pictures is as wanted, by attribute and by all that is mentioned.

        Beside these, by the classifier: the share of "yes" of the yes/no judge, and in what share of the pictures
        that is what the classifier makes of all mentioned attributes together.
        """
        parsed = [parse_prompt(one) if isinstance(one, str) else one for one in wanted]
        shares = mentioned_accuracy(images, parsed, self.classifier)
        yes = self.log_odds(images, [prompt_of(one) for one in parsed]) > 0
        right = mentioned_right(images, parsed, self.classifier)
        return {
            **shares,
            "yes": float(yes.mean()) if len(yes) else None,
            "judges agree": float((yes == right).mean()) if len(yes) else None,
        }


def load_judges(classifier: Path = WEIGHTS_FILE, yes_no: Path = YES_NO_JUDGE) -> Judges:
    """Load the judges, in float32."""
    return Judges(load_classifier(classifier), load_vqa(str(yes_no)))


def as_markdown(rows: Mapping[str, Shares], first: str = "share") -> str:
    """Lay the rows out as a markdown table; a figure that does not exist is left blank."""
    columns = list(dict.fromkeys(column for shares in rows.values() for column in shares))
    lines = [[first, *(column.replace("_", " ") for column in columns)], ["---"] * (len(columns) + 1)]
    for name, shares in rows.items():
        figures = [shares.get(column) for column in columns]
        lines.append([name, *("" if figure is None else f"{figure:.3f}" for figure in figures)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
