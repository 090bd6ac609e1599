"""The gallery: one self-contained page that shows a whole image set."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined, Template

from hierflow.images.manifest import ImageRow

_PIXELATED = 128  # up to this side an image is enlarged pixel by pixel, as smoothing would hide what it is
_ASSUMED_SIZE = (512, 512)  # only to keep the page from jumping; the real size comes with the file
_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


def render_gallery(
    title: str,
    rows: Sequence[ImageRow],
    axes: Sequence[str],
    facts: Sequence[tuple[str, str]],
    notes: Sequence[str] = (),
    *,
    image_size: tuple[int, int] | None = None,
) -> str:
    """The page's HTML, to be stored beside the folders that the rows' image paths name.

    It asks nothing of the network but those images (its content security policy forbids the rest), and
    shows any text as text. Without JavaScript pictures and prompts are still there, filters are not.

    Args:
        title: the set's name.
        rows: the images, in the order shown; those without a path get a tile with their error.
        axes: the axes to filter by, keys of the rows' `axes`.
        facts: label and value, shown in the header.
        notes: sentences the reader must not miss.
        image_size: width and height of every image in pixels, where known.
    """
    template, policy = _template()
    filters = [(label, list(dict.fromkeys(values)), values) for label, values in _filters(rows, axes)]
    records = [_record(row, axes) for row in rows]
    choices = [{option: number for number, option in enumerate(options)} for _, options, _ in filters]
    for place, record in enumerate(records):
        record["choices"] = [number[filters[at][2][place]] for at, number in enumerate(choices)]
    return template.render(
        title=title,
        facts=facts,
        notes=notes,
        policy=policy,
        size=image_size or _ASSUMED_SIZE,
        pixelated=image_size is not None and max(image_size) <= _PIXELATED,
        cards=[_card(row) for row in rows],
        filters=[(label, options) for label, options, _ in filters],
        orders=sorted({name for row in rows for name in row.scores}),
        data=records,
    )


@cache
def _template() -> tuple[Template, str]:
    """The template, and the policy that lets exactly its own style and script run."""
    source = files("hierflow.images").joinpath("gallery.html").read_text(encoding="utf-8")
    inline = {tag: _csp_hash(content) for tag, content in _INLINE.findall(source)}
    policy = (
        f"default-src 'none'; img-src 'self' file:; style-src {inline['style']}; "
        f"script-src {inline['script']}; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source), policy


def _csp_hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _card(row: ImageRow) -> dict[str, Any]:
    return {
        "url": _relative_url(row.image_path),
        "prompt": row.prompt,
        "nth": row.image_index + 1 if row.image_index else None,
        "status": row.status,
        "error": row.error,
    }


def _relative_url(path: str) -> str:
    """`path` as a URL that can only mean a file below the page: no scheme, no host, no query."""
    return quote(str(PurePosixPath(path)), safe="/") if path else ""


def _filters(rows: Sequence[ImageRow], axes: Sequence[str]) -> list[tuple[str, list[str]]]:
    """What to choose from: each label with the value of every row, where the rows differ."""
    columns = [(axis, [_shown(row.axes.get(axis)) for row in rows]) for axis in axes]
    columns.append(("status", [row.status for row in rows]))
    return [(label, values) for label, values in columns if len(set(values)) > 1]


def _record(row: ImageRow, axes: Sequence[str]) -> dict[str, Any]:
    """What the page's script knows of an image: what to order by, and the table shown beside it."""
    table = [
        ("Prompt id", row.prompt_id),
        ("Image", str(row.image_index + 1)),
        *((axis, _shown(row.axes.get(axis))) for axis in axes),
        *((f"Score: {name}", f"{score:.4f}") for name, score in sorted(row.scores.items())),
        ("Evaluations, its share", _number(row.evaluations)),
        ("Evaluations, paid", _number(row.evaluations_paid)),
        ("Seed", str(row.seed)),
        ("Partition", row.partition),
        ("Node path", row.node_path),
        ("Run", row.run_id),
        ("File", row.image_path),
        ("SHA-256", row.image_sha256),
    ]
    return {
        "status": row.status,
        "error": row.error,
        "path": row.node_path,
        "scores": {name: f"{score:.6f}" for name, score in row.scores.items()},
        "table": [pair for pair in table if pair[1]],
    }


def _shown(value: object) -> str:
    return "—" if value is None else str(value)


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")
