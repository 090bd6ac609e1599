"""What `hierflow run` and `hierflow status` both tell of a set."""

from __future__ import annotations

from typing import Any

from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.terminal.text import volume


def images(summary: dict[str, Any]) -> str:
    """How many images of a set there are, and of how many prompts."""
    wanted, prompts = summary["wanted"], summary["prompts"]
    all_of_them = f"{prompts} prompts" if wanted == prompts else f"{wanted}, of {prompts} prompts"
    return f"{summary['images']} of {all_of_them}" + ("" if summary["complete"] else " (incomplete)")


def space(sizes: dict[str, int]) -> str:
    """What a set takes, and what for."""
    return f"{volume(sizes['all'])}, of which {volume(sizes['states'])} states and {volume(sizes['images'])} images"


def places(summary: dict[str, Any], *reports: str) -> list[tuple[str, str]]:
    """Where reports lie, those that have been written."""
    return [(name, summary[name]) for name in reports if summary[name]]


def quality_rows(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What the last quality report said."""
    if found is None:
        return []
    rows = []
    for metric, about in found["metrics"].items():
        rate = Interval(**about["win_rate"])
        told = f"{metric} win rate {rate} in {about['pairs']} pairs, 0.5 is as good as without sharing"
        rows.append(("quality", f"{metric}: {about['fault']}" if about["fault"] else told))
    if found["verdict"]:
        rows.append(("floor", found["verdict"]["reason"]))
    rows += [
        (name.replace("_", " "), f"{found[name]} found; see {found['page']}")
        for name in ("near_duplicates", "blank")
        if found[name]
    ]
    return rows
