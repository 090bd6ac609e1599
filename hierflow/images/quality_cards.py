"""The cards of the quality page: an image in all the ways it was made, near duplicates, blank images."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from hierflow.images.manifest import ImageRow
from hierflow.images.page_template import MOST_OPTIONS, gallery_address, relative_url, shortened
from hierflow.images.quality_charts import signed
from hierflow.images.quality_words import decimals_of, lost_by, metric_of, outcome
from hierflow.scoring.judgement import Judgement
from hierflow.scoring.pair import AGAIN, SHARED, SHUFFLED, STANDARD, Pair
from hierflow.scoring.quality import Quality, Twins

LETTERS = 300
"""Of a text."""
ARMS = {SHARED: "Shared", STANDARD: "Standard", AGAIN: "Standard, other seed", SHUFFLED: "Shuffled tree"}
"""What the images of a pair are called, in the order shown; the first two always are."""


class Pictures:
    """Where images, their thumbnails and their places in the gallery are.

    Args:
        rows: the set's images.
        gallery: the gallery's file.
        there: the paths of the images that exist.
        thumbnails: the path of the thumbnail of an image path.
    """

    def __init__(
        self, rows: Sequence[ImageRow], gallery: str, there: Collection[str], thumbnails: Mapping[str, str]
    ) -> None:
        self._several = any(row.image_index for row in rows)
        self._rows = {f"{row.prompt_id}/{row.image_index + 1}": row for row in rows}
        self._gallery, self._there, self._thumbnails = relative_url(gallery), there, thumbnails

    def urls(self, path: str) -> tuple[str, str] | None:
        """The addresses of an image and of what is shown of it; None if its file is gone."""
        if path not in self._there:
            return None
        return relative_url(path), relative_url(self._thumbnails.get(path, path))

    def link(self, prompt_id: str, image_index: int = 0) -> str:
        """Where the gallery shows an image; empty if it does not."""
        if f"{prompt_id}/{image_index + 1}" not in self._rows:
            return ""
        return f"{self._gallery}#{gallery_address(prompt_id, image_index, self._several)}"

    def of_row(self, name: str) -> dict[str, Any]:
        """An image of the set, by its prompt's id and its number."""
        row = self._rows[name]
        return {
            "urls": self.urls(row.image_path),
            "prompt": shortened(row.prompt, LETTERS),
            "gallery": self.link(row.prompt_id, row.image_index),
        }


def pair_cards(
    quality: Quality, judged: Judgement | None, pictures: Pictures, most: int
) -> tuple[list[Pair], list[dict[str, Any]]]:
    """At most so many pairs and their cards, the worst losses first; pairs without that score come last."""

    def rank(pair: Pair) -> float:
        by = lost_by(pair, judged.metric) if judged else None
        return math.inf if by is None else -by

    decimals = {one.metric: decimals_of(one) for one in quality.judgements}
    shown = sorted(quality.pairs, key=rank)[:most]
    return shown, [_card(pair, quality.judgements, judged, decimals, pictures) for pair in shown]


def _card(
    pair: Pair,
    judgements: Sequence[Judgement],
    judged: Judgement | None,
    decimals: Mapping[str, int],
    pictures: Pictures,
) -> dict[str, Any]:
    compared = [
        (metric_of(one.metric).short, signed(-by, decimals[one.metric]), outcome(pair, one))
        for one in judgements
        if (by := lost_by(pair, one.metric)) is not None
    ]
    tiles = [
        {
            "label": label,
            "is_other": place > 1,
            "urls": pictures.urls(pair.images[arm].path),
            "scores": _scores(pair.images[arm].scores, decimals),
        }
        for place, (arm, label) in enumerate(ARMS.items())
    ]
    return {
        "prompt": shortened(pair.prompt, LETTERS),
        "id": pair.prompt_id,
        "gallery": pictures.link(pair.prompt_id),
        "outcome": outcome(pair, judged) if judged else "not scored",
        "compared": compared,
        "tiles": tiles,
    }


def _scores(scores: Mapping[str, float], decimals: Mapping[str, int]) -> list[tuple[str, str]]:
    return [
        (metric_of(name).short, f"{scores[name]:,.{places}f}".replace("-", "−"))
        for name, places in decimals.items()
        if name in scores
    ]


class FilterColumn(NamedTuple):
    """What pairs can be filtered by: a column's name, its values, and the place of each pair's among them."""

    name: str
    options: list[str]
    places: list[int]


def filter_columns(pairs: Sequence[Pair]) -> list[FilterColumn]:
    """The partition and the prompts' columns, as far as pairs differ in them and they have few values."""
    columns = {"partition": [pair.partition for pair in pairs]}
    for name in dict.fromkeys(name for pair in pairs for name in pair.axes):
        columns[name] = ["—" if (value := pair.axes.get(name)) is None else str(value) for pair in pairs]
    found = []
    for name, values in columns.items():
        place = {option: number for number, option in enumerate(dict.fromkeys(values))}
        if 1 < len(place) <= MOST_OPTIONS:
            found.append(FilterColumn(name, list(place), [place[value] for value in values]))
    return found


def twin_card(twins: Twins, pictures: Pictures) -> dict[str, Any]:
    """Two images side by side."""
    return {"images": [pictures.of_row(twins.one), pictures.of_row(twins.other)], "cosine": f"{twins.cosine:.4f}"}
