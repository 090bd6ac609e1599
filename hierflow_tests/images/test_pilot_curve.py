"""The picture of a pilot's curve."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hierflow.images.pilot_curve import pilot_curve
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.pilot_curve import PilotCurve, PilotPoint

CURVE = PilotCurve(
    "vqa",
    0.01,
    [
        PilotPoint(0.9, 0.12, 64, Interval(-0.001, -0.006, 0.004), True),
        PilotPoint(0.8, 0.2, 64, Interval(-0.003, -0.009, 0.003), True),
        PilotPoint(0.7, 0.31, 64, Interval(-0.012, -0.02, -0.004), False),
    ],
)


def test_it_is_a_small_picture_that_shows_its_points() -> None:
    whole = pilot_curve(CURVE)
    assert np.asarray(Image.open(io.BytesIO(whole))).std() > 0
    assert len(whole) < 70_000
    assert pilot_curve(CURVE) == whole
    assert pilot_curve(CURVE._replace(points=CURVE.points[:2])) != whole
    assert pilot_curve(CURVE._replace(max_loss=0.02)) != whole


def test_points_without_an_interval_are_drawn_too() -> None:
    assert pilot_curve(PilotCurve("clip", 0.01, [PilotPoint(0.9, 0.1, 3, Interval(-0.1, None, None), False)]))
