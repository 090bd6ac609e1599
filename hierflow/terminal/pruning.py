"""`hierflow prune` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hierflow.terminal.text import laid_out, listed, volume

if TYPE_CHECKING:
    from hierflow.upkeep import Pruning


def describe_pruning(found: Pruning) -> str:
    """`hierflow prune` in words."""
    plain = found.as_json()
    rows = [
        (kind, f"{about['files']:>7,} files  {volume(about['bytes']):>9}")
        for kind, about in plain["kinds"].items()
        if about["files"]
    ]
    if found.keys:
        rows.append(("partitions", f"{len(found.keys):>7,} keys of earlier trees" + listed(found.keys)))
    if not rows:
        return f"{found.name}\n  nothing to prune"
    rows.append(("all", f"{plain['files']:>7,} files  {volume(plain['bytes']):>9}"))
    told = "deleted" if found.deleted else "nothing has been deleted; `hierflow prune SPEC --yes` deletes it"
    return f"{laid_out(found.name, rows)}\n{told}"
