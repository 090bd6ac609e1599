"""`hierflow.ImageSet`: one YAML document, one image set."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from hierflow.spec import ImageSetSpec


class ImageSet(dg.Component, ImageSetSpec, dg.Resolvable):
    """One image set, generated along an embedding tree.

    Prompts are expanded, embedded and clustered; similar ones share their early denoising steps. Every stage is
    an asset, the costly ones partitioned by subtree, and a run redoes only what has changed.
    """

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
