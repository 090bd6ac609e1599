"""Results: kept, so that a long benchmark goes on where it was broken off, and printed as Markdown tables."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def kept(path: Path, measure: Callable[[], Any]) -> Any:
    """What `measure` gave, as JSON knows it: read from `path`, or measured now and kept there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(".partial")
        whole.write_text(json.dumps(measure()), "utf-8")
        os.replace(whole, path)
    return json.loads(path.read_text("utf-8"))


def header(columns: Sequence[str]) -> str:
    """The first two lines of a table."""
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
