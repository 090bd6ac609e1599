"""`hierflow run` in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hierflow.progress import duration
from hierflow.terminal.summary import images, quality_rows, space
from hierflow.terminal.text import laid_out


def describe_run(summary: dict[str, Any], problems: Sequence[str]) -> str:
    """`hierflow run` in words."""
    evaluations, partitions = summary["evaluations"], summary["partitions"]
    repeated = evaluations["replayed"] + evaluations["redone"]
    rows = [
        ("images", images(summary)),
        (
            "partitions",
            f"{partitions['run']} run, {partitions['skipped']} up to date, {partitions['failed']} failed",
        ),
        (
            "evaluations",
            f"{evaluations['executed']:,} executed, {evaluations['reused']:,} reused of {evaluations['planned']:,} "
            f"planned" + (f", {repeated:,} repeated" if repeated else ""),
        ),
        *_measured(summary["measured"]),
        ("saved", f"{summary['saved']:.1%} of {evaluations['standard']:,} evaluations without sharing"),
        *quality_rows(summary["quality"]),
        ("time", duration(summary["seconds"])),
        ("space", space(summary["bytes"])),
        ("gallery", str(summary["gallery"])),
        ("manifest", str(summary["manifest"])),
        ("audit", str(summary["audit"])),
    ]
    return laid_out(summary["name"], rows) + "".join(f"\nfailed: {problem}" for problem in problems)


def _measured(evaluations: int) -> list[tuple[str, str]]:
    told = f"{evaluations:,} of these evaluations, to tell what the images are worth"
    return [("measured", told)] if evaluations else []
