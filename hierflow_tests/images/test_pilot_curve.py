"""The picture of a pilot's curve."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hierflow.images.pilot_curve import CurvePoint, pilot_curve
from hierflow.scoring.cluster_bootstrap import Interval

POINTS = [
    CurvePoint(0.9, Interval(-0.001, -0.006, 0.004), True),
    CurvePoint(0.8, Interval(-0.003, -0.009, 0.003), True),
    CurvePoint(0.7, Interval(-0.012, -0.02, -0.004), False),
]


def test_it_is_a_small_picture_that_shows_its_points() -> None:
    whole = pilot_curve(POINTS, "vqa", 0.01)
    assert np.asarray(Image.open(io.BytesIO(whole))).std() > 0
    assert len(whole) < 70_000
    assert pilot_curve(POINTS, "vqa", 0.01) == whole
    assert pilot_curve(POINTS[:2], "vqa", 0.01) != whole
    assert pilot_curve(POINTS, "vqa", 0.02) != whole


def test_points_without_an_interval_are_drawn_too() -> None:
    assert pilot_curve([CurvePoint(0.9, Interval(-0.1, None, None), False)], "clip", 0.01)
