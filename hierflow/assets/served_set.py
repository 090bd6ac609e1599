"""An image set as Dagster serves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from hierflow.assets.names import SET_TAG, SetNames
from hierflow.spec import ImageSetSpec


@dataclass(frozen=True)
class ServedSet:
    """The set's spec and where its document lies.

    Attributes:
        spec: the document.
        base: the folder that its relative paths are relative to.
        document: its file; None for a set described in Python.
    """

    spec: ImageSetSpec
    base: Path
    document: Path | None

    @property
    def parts(self) -> tuple[ImageSetSpec, Path, Path | None]:
        """What :func:`hierflow.assets.run_stage.stage_of` needs."""
        return self.spec, self.base, self.document

    def common(self, asset: str) -> dict[str, Any]:
        """What all of the set's assets have in common."""
        return {
            "key": SetNames(self.spec.name).key(asset),
            "group_name": self.spec.name,
            "tags": {SET_TAG: self.spec.name},
            "code_version": "1",
        }

    def asset_spec(self, asset: str, **fields: Any) -> dg.AssetSpec:
        """A spec for one of the set's assets."""
        return dg.AssetSpec(**self.common(asset), **fields)
