"""A history told by events: which run replaced, brought or took what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from hierflow.images.history import Version

Kind = Literal["replaced", "made", "returned", "found", "retired", "lost"]


class Event(NamedTuple):
    """Something that a run did to an image.

    Attributes:
        run: the request.
        at: when.
        kind: what.
        version: the one that came, or, where the image was retired or lost, the one that went.
        before: the one that was replaced.
    """

    run: str
    at: datetime
    kind: Kind
    version: Version
    before: Version | None = None

    @property
    def has_gone(self) -> bool:
        """Whether the version went."""
        return self.kind in ("retired", "lost")


def events(versions: Sequence[Version]) -> list[Event]:
    """What happened to the images, the latest first, and for one moment in the order of the versions."""
    return sorted(_told(versions), key=lambda event: event.at, reverse=True)


def _told(versions: Sequence[Version]) -> Iterator[Event]:
    last: dict[tuple[str, int], Version] = {}
    for version in versions:
        before = last.get(version.image)
        if before and before.ended == "replaced":
            yield Event(version.began_run, version.began_at, "replaced", version, before)
        else:
            yield Event(version.began_run, version.began_at, version.began, version)
        if version.ended_at and version.ended in ("retired", "lost"):
            yield Event(version.ended_run, version.ended_at, version.ended, version)
        last[version.image] = version
