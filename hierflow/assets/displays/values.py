"""Pictures, links and schemas as values of metadata."""

from __future__ import annotations

import base64
from typing import Any

import dagster as dg

from hierflow.stages.context import Stage

PICTURE_BYTES = 70_000
"""Of a picture before base64, which makes 93 KB of them."""

ROWS = 20
"""Of a list of what is wrong."""

Metadata = dict[str, Any]


def text_columns(*names: str) -> dg.TableSchema:
    """The schema of a table of texts."""
    return dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in names])


def picture(data: bytes, kind: str, caption: str) -> dg.MarkdownMetadataValue:
    """A picture that the UI shows behind "Show Markdown"."""
    return dg.MetadataValue.md(f"![{caption}](data:image/{kind};base64,{base64.b64encode(data).decode()})")


def link(stage: Stage, path: str) -> Any:
    """Where a file of the set lies: a link if `storage.url` says where a browser finds it, else its path."""
    url = stage.spec.storage.url
    if url:
        return dg.MetadataValue.url(f"{url.rstrip('/')}/{stage.spec.name}/{path}")
    return dg.MetadataValue.path(stage.store.files.url(path))


def evaluations(stage: Stage) -> int:
    """The evaluations of one image without sharing."""
    return sum(stage.adapter.identity.evaluations_a_step(stage.spec.diffusion.steps))
