"""`hierflow run` in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hierflow.plan.selection import Selected
from hierflow.progress import duration
from hierflow.terminal.summary import images, places, quality_rows, space
from hierflow.terminal.text import laid_out


def describe_run(summary: dict[str, Any], problems: Sequence[str], selected: Selected | None = None) -> str:
    """`hierflow run` in words; of a run that came to no plan only why.

    Of a run for some `selected` prompts, how many they were.
    """
    failed = [f"failed: {problem}" for problem in problems]
    if "error" in summary:
        return "\n".join([laid_out(summary["name"], [("time", duration(summary["seconds"]))]), *failed])
    evaluations, partitions = summary["evaluations"], summary["partitions"]
    repeated = evaluations["replayed"] + evaluations["redone"]
    rows = [
        ("images", images(summary)),
        *_selected(selected),
        (
            "partitions",
            f"{partitions['run']} run, {partitions['skipped']} "
            f"{'up to date' if selected is None else 'skipped'}, {partitions['failed']} failed"
            + _left(partitions["left"]),
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
        *places(summary, "gallery", "manifest", "audit"),
    ]
    return "\n".join([laid_out(summary["name"], rows), *failed, *yet_to_come(summary)])


def yet_to_come(summary: dict[str, Any]) -> list[str]:
    """Which runs of others make what the set lacks, in a sentence; none where they lack nothing."""
    makers = {run: about["images"] for run, about in summary["partitions"]["left"].items() if about["images"]}
    if not makers:
        return []
    who = ", ".join(f"run {run} makes {images} images" for run, images in makers.items())
    return [f"left: {who}; call again when {'it has' if len(makers) == 1 else 'they have'} ended"]


def _selected(selected: Selected | None) -> list[tuple[str, str]]:
    if selected is None:
        return []
    count = sum(map(len, selected.values()))
    return [("asked for", f"{count} prompts; `hierflow run SPEC` makes the others")]


def _left(runs: dict[str, dict[str, int]]) -> str:
    count = sum(about["partitions"] for about in runs.values())
    return f", {count} left to {'another run' if len(runs) == 1 else 'other runs'}" if runs else ""


def _measured(evaluations: int) -> list[tuple[str, str]]:
    told = f"{evaluations:,} of these evaluations, to tell what the images are worth"
    return [("measured", told)] if evaluations else []
