"""Histories to test with: sets as they are night after night, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hierflow.hashing import bytes_digest
from hierflow.images import ImageRow, Moment, Version, updated
from hierflow.plan.lanes import Variant

FIRST = datetime(2026, 11, 1, 3, tzinfo=UTC)


def image(prompt_id: str, version: int = 1, *, run: str = "", index: int = 0, paid: float = 10.0) -> ImageRow:
    """A prompt's image, a file a version; version 0 is no image. It was made by the run `made-<version>`."""
    sha256 = bytes_digest(f"{prompt_id}/{index}/{version}".encode())
    return ImageRow(
        prompt_id=prompt_id,
        image_index=index,
        prompt=f"a {prompt_id}" if version < 2 else f"a {prompt_id}, version {version}",
        axes={},
        variant=Variant(0, 64, 64),
        partition="p",
        node_path="0@1-2",
        image_path=f"images/0a/{prompt_id}-{sha256[:12]}-{index}.png" if version else "",
        image_sha256=sha256 if version else "",
        evaluations=1.0,
        evaluations_paid=paid if version else 0.0,
        run_id=(run or f"made-{version}") if version else "",
        status="current" if version else "failed",
    )


def night(number: int, run: str = "") -> Moment:
    """The moment at which night `number`, counted from 1, is told; runs are known to have begun an hour earlier."""
    at = FIRST + timedelta(days=number - 1)
    made_at = {f"made-{number}": at - timedelta(hours=1)}
    return Moment(run=run or f"night-{number}", at=at, plan=f"plan-{number}", made_at=made_at)


def told(*nights: Sequence[ImageRow]) -> list[Version]:
    """The history of a set that was as given, night after night."""
    versions: list[Version] = []
    for number, rows in enumerate(nights, 1):
        versions = updated(versions, rows, night(number))
    return versions
