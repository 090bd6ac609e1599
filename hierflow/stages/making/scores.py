"""Scoring: what gives the set's images their scores, and filling in those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from hierflow.stages.context import Stage
from hierflow.stages.making.pictures import opened

CHUNK = 32
"""Images decoded, written and scored together: what a crash can cost here."""


class Unscored(NamedTuple):
    """An image that lacks scores.

    Attributes:
        path: of its file.
        prompt: what it should show.
        names: the scores it lacks.
    """

    path: str
    prompt: str
    names: tuple[str, ...]


def missing_scores(stage: Stage, images: Sequence[Unscored]) -> list[dict[str, float]]:
    """The scores that each of `images` lacks; none for one whose file is damaged.

    A score that is not finite is left out, and said so.

    Raises:
        FileNotFoundError: an image is gone.
    """
    found: list[dict[str, float]] = [{} for _ in images]
    lacking = [place for place, image in enumerate(images) if image.names]
    for start in range(0, len(lacking), CHUNK):
        chunk = lacking[start : start + CHUNK]
        read = {place: opened(stage, images[place].path) for place in chunk}
        pixels = {place: image for place, image in read.items() if image is not None}
        for name in dict.fromkeys(name for place in pixels for name in images[place].names):
            places = [place for place in pixels if name in images[place].names]
            scorer = stage.scorers.of(name)
            values = scorer.score([pixels[place] for place in places], [images[place].prompt for place in places])
            for place, value in zip(places, values, strict=True):
                if isfinite(value):
                    found[place][name] = value
                else:
                    stage.say(f"{images[place].path} gets no score {name!r}, which came out as {value}")
    return found
