"""A model that may not be put to work."""

from __future__ import annotations

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.scoring.own_clip import OwnClip


def refuse_work(patch: pytest.MonkeyPatch) -> None:
    """From now on whatever encodes, denoises, decodes or scores with a model of the Kandinsky family fails."""

    def refuse(*_: object, **named: object) -> None:
        raise AssertionError("the model was put to work")

    for work in ("encode", "predict", "decode"):
        patch.setattr(Kandinsky22, work, refuse)
    patch.setattr(OwnClip, "score", refuse)
