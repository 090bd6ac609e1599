"""`hierflow.ImageSet`: one YAML document, one image set."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import BaseModel

from hierflow.spec import ImageSetSpec


class ImageSet(dg.Component, ImageSetSpec, dg.Resolvable):
    """One image set, generated along an embedding tree.

    Prompts are expanded, embedded and clustered; similar ones share their early denoising steps. Every stage is
    an asset, the costly ones partitioned by subtree, and a run redoes only what has changed.
    """

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What YAML is checked against: the spec itself.

        The model Dagster would derive accepts a template string in place of every value, which bounds cannot be
        put on; and a document must mean the same here and on the command line, where `{{` is a literal brace.
        """
        return ImageSetSpec

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> ImageSet:
        """The component of a checked document."""
        return cls(**dict(model))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The set's assets, checks and jobs; relative paths are relative to the document."""
        from hierflow.assets.build import build_image_set

        folder = Path(context.path)
        if folder.is_file():
            return build_image_set(self, folder.parent, folder)
        document = next(
            (folder / name for name in ("defs.yaml", "component.yaml") if (folder / name).is_file()), None
        )
        return build_image_set(self, folder, document)
