"""`hierflow.ImageSet`: one YAML document, one image set."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, GetJsonSchemaHandler, RootModel
from pydantic_core import CoreSchema

from hierflow.assets.scaffold import ImageSetScaffolder
from hierflow.assets.schema import Schema, document_schema
from hierflow.document import image_set, load_attributes
from hierflow.errors import InputError
from hierflow.positions import located
from hierflow.spec import ImageSetSpec


@dg.scaffold_with(ImageSetScaffolder)
class ImageSet(dg.Component, ImageSetSpec, dg.Resolvable):
    """A set of images, generated from prompts by a diffusion model.

    Prompts are expanded, embedded and clustered; similar ones share their early denoising steps along the tree of
    their embeddings. Every stage is an asset, the costly ones partitioned by subtree, and a run redoes only what
    has changed. Jobs, a sensor that continues them, and a schedule come with the assets.

    `{{ env.NAME }}` is replaced in `prompts.file`, `prompts.table`, `diffusion.model`, `diffusion.prior`,
    `diffusion.safety_check`, `embedding.from`, `storage.path` and `storage.url`. A relative path is relative to the
    document. Derive a class from this one to change what the assets are called, described or tagged: see
    `get_asset_spec`.
    """

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What Dagster lists of the component."""
        return dg.ComponentTypeSpec(
            tags=["diffusion", "images", "partitioned"],
            produces=["asset", "asset_check", "job", "schedule", "sensor"],
        )

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What Dagster reads YAML into: the attributes as they were written, described by the spec's schema.

        They are checked in :meth:`resolve_from_model`, so that a fault is the same sentence here as on the
        command line. A document also means the same: the model that Dagster would derive takes every value for
        a template, and `{{` is a literal brace in a prompt.
        """
        return _attributes_of(cls)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The component of a document, with or without attributes."""
        return super().load(attributes or cls.model().model_validate({}), context)

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """The component of a document's attributes.

        Raises:
            InputError: a field is wrong, or an environment variable is not set; file and line are named.
        """
        tree = context.source_position_tree
        document = Path(tree.position.filename) if tree else None
        if tree is None or document is None or not document.is_file():
            return image_set(cls, model.model_dump())
        # From the file, as Dagster's own loader has turned `16:9` into 969 by now.
        line = tree.position.start.line
        try:
            return image_set(cls, load_attributes(document, line))
        except InputError as error:
            raise located(error, document, line) from None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The set's assets, checks, jobs, sensors and schedule; relative paths are relative to the document."""
        from hierflow.assets.build import build_image_set

        folder = Path(context.path)
        if folder.is_file():
            return build_image_set(self, folder.parent, folder, self.get_asset_spec)
        names = ("defs.yaml", "defs.yml", "component.yaml")
        document = next((folder / name for name in names if (folder / name).is_file()), None)
        return build_image_set(self, folder, document, self.get_asset_spec)

    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        """The spec of one of the set's assets, as Dagster is to see it; override it in a class of your own.

        Args:
            spec: as hierflow makes it. Return it with another key, description, group, kinds, tags, owners or
                metadata (`spec.replace_attributes`, `spec.merge_attributes`). Dependencies between the set's own
                assets follow their keys.

        Example:
            In `components/my_image_set.py`, for `type: my_project.components.my_image_set.MyImageSet`::

                class MyImageSet(hierflow.ImageSet):
                    def get_asset_spec(self, spec: dg.AssetSpec) -> dg.AssetSpec:
                        return super().get_asset_spec(spec).merge_attributes(owners=["team:studio"])
        """
        return spec


@cache
def _attributes_of(component: type[ImageSetSpec]) -> type[BaseModel]:
    class Attributes(RootModel[dict[str, Any]]):
        """The attributes of a document, as YAML holds them."""

        @classmethod
        def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
            return document_schema(component)

    return Attributes
