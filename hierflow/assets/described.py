"""An image set described in Python, for code locations that do not use components."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from hierflow.assets.build import build_image_set
from hierflow.assets.graph import Translate
from hierflow.document import validated
from hierflow.spec import ImageSetSpec


def image_set(*, base: str | Path, translate: Translate = lambda spec: spec, **attributes: Any) -> dg.Definitions:
    """The assets, checks, jobs, sensors and schedule of one image set.

    Args:
        base: the folder that relative paths are relative to, such as `Path(__file__).parent`.
        translate: what to make of every asset's spec: another key, group, metadata, ...
        **attributes: what a document has under `attributes`: name, prompts, diffusion, sharing, storage, ...

    Raises:
        InputError: an attribute is missing, unknown or out of range.
    """
    return build_image_set(validated(ImageSetSpec, attributes), Path(base).resolve(), translate=translate)
