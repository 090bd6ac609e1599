"""Static pages: a template with its own style and script in it, and a policy that lets exactly those run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined, Template

PIXELATED = 128
"""Up to this side an image is enlarged pixel by pixel, as smoothing would hide what it is."""
MOST_OPTIONS = 60
"""Of a filter; columns of more values are found by search."""


@cache
def page_template(name: str, styles: tuple[str, ...], scripts: tuple[str, ...]) -> Template:
    """The template `page/<name>`, with `style`, `script` and `policy` set.

    The policy allows the page's own style and script, and pictures that lie below it; nothing else.

    Args:
        name: the template's file.
        styles, scripts: the files that make up the style and the script, in their order.
    """
    style, script = _joined(styles), _joined(scripts)
    policy = (
        f"default-src 'none'; img-src 'self' file:; style-src {_csp_hash(style)}; "
        f"script-src {_csp_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_joined([name]), globals={"style": style, "script": script, "policy": policy})


def relative_url(path: str) -> str:
    """`path` as a URL that can only mean a file below the page: no scheme, no host, no query."""
    return quote(str(PurePosixPath(path)), safe="/") if path else ""


def gallery_address(prompt_id: str, image_index: int, several: bool) -> str:
    """The part of the gallery's address that opens an image, as its script writes it.

    Args:
        prompt_id, image_index: of the image.
        several: whether some prompt of the set has more than one.
    """
    shown = quote(prompt_id, safe="!*'()")
    return f"{shown}/{image_index + 1}" if several else shown


def shortened(text: str, letters: int) -> str:
    """`text` if it has no more than so many letters, else its beginning."""
    return text if len(text) <= letters else text[:letters] + "…"


def _joined(names: Sequence[str]) -> str:
    page = files("hierflow.images").joinpath("page")
    return "\n".join(page.joinpath(name).read_text(encoding="utf-8") for name in names)


def _csp_hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
