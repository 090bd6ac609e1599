"""The page of a set's history: run by run, the latest first, what came, was replaced and went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, groupby
from typing import Any, get_args

from hierflow.images.history import Version
from hierflow.images.history_events import Event, Kind, events
from hierflow.images.page_template import PIXELATED, gallery_address, page_template, relative_url, shortened

PICTURES = 5000
"""Of the page, so that it stays light over years of nights; an image that was replaced has two."""
_LETTERS = 300  # of a prompt; the gallery and the table have all of them
_KINDS: tuple[Kind, ...] = get_args(Kind)


def render_history(
    title: str,
    versions: Sequence[Version],
    *,
    gallery: str,
    table: str,
    there: Collection[str],
    thumbnails: Mapping[str, str],
    image_size: tuple[int, int],
    notes: Sequence[str] = (),
) -> str:
    """The page's HTML, to be stored beside the gallery. It shows any text as text, and asks for nothing but images.

    Args:
        title: the set's name.
        versions: the history, oldest first.
        gallery, table: the files beside it that have the gallery and the whole history.
        there: the paths of the images that exist.
        thumbnails: the path of a thumbnail by the first 32 digits of its image's SHA-256.
        image_size: width and height in pixels.
        notes: sentences the reader must not miss.
    """
    told = events(versions)
    pictures = accumulate(2 if event.before else 1 for event in told)
    shown = [event for event, so_far in zip(told, pictures, strict=True) if so_far <= PICTURES]
    several = any(version.image_index for version in versions)
    urls = _urls(versions, there, thumbnails)
    runs = []
    for (run, at), group in groupby(shown, key=lambda event: (event.run, event.at)):
        own = sorted(group, key=lambda event: _KINDS.index(event.kind))
        counts = Counter(event.kind for event in own)
        did = ", ".join(f"{counts[kind]:,} {kind}" for kind in _KINDS if counts[kind])
        cards = [_card(event, urls, gallery, several) for event in own]
        runs.append({"run": run, "at": f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC", "did": did, "cards": cards})
    kinds = {event.kind for event in shown}
    return page_template("history.html", ("gallery.css", "history.css"), ("pictures.js", "history.js")).render(
        title=title,
        notes=notes,
        facts=_facts(versions, told),
        runs=runs,
        kinds=[kind for kind in _KINDS if kind in kinds],
        shown=len(shown),
        left_out=len(told) - len(shown),
        gallery=relative_url(gallery),
        table=relative_url(table),
        pixelated=max(image_size) <= PIXELATED,
    )


_Urls = Mapping[tuple[str, str], tuple[str, str]]
"""Where an image and its thumbnail lie, by its path and checksum; of those that are there."""


def _urls(versions: Sequence[Version], there: Collection[str], thumbnails: Mapping[str, str]) -> _Urls:
    # A file that was made again, and is another (on a GPU), lies where the one before it lay.
    latest = {version.image_path: version.image_sha256 for version in versions}
    return {
        (path, sha256): (relative_url(path), relative_url(thumbnails.get(sha256[:32], path)))
        for path, sha256 in latest.items()
        if path in there
    }


def _facts(versions: Sequence[Version], told: Sequence[Event]) -> list[tuple[str, str]]:
    if not told:
        return []
    return [
        ("since", _day(told[-1].at)),
        ("runs that changed images", f"{len({event.run for event in told}):,}"),
        ("images now", f"{sum(not version.ended for version in versions):,}"),
        ("versions in all", f"{len(versions):,}"),
    ]


def _card(event: Event, urls: _Urls, gallery: str, several: bool) -> dict[str, Any]:
    version, before = event.version, event.before
    tiles = [("Before", before), ("After", version)] if before else [("Image", version)]
    gone = version if event.has_gone else before
    is_now = not version.ended
    return {
        "kind": event.kind,
        "id": version.prompt_id,
        "tiles": [(words, urls.get((shown.image_path, shown.image_sha256))) for words, shown in tiles],
        "prompt": shortened(version.prompt, _LETTERS),
        "nth": version.image_index + 1 if several else 0,
        "was": shortened(before.prompt, _LETTERS) if before and before.prompt != version.prompt else "",
        "lines": [
            *([_joined(f"was there since {_day(gone.began_at)}", _kept(gone))] if gone else []),
            *([] if event.has_gone else _since(version)),
        ],
        "gallery": f"{gallery}#{gallery_address(*version.image, several)}" if is_now else "",
    }


def _since(version: Version) -> list[str]:
    """What became of a version after it had come."""
    if version.ended_at:
        return [_joined(_kept(version), f"{version.ended} on {_day(version.ended_at)}")]
    if version.last_kept_at:
        return [_joined(_kept(version), f"last on {_day(version.last_kept_at)}")]
    return []


def _kept(version: Version) -> str:
    return f"kept by {version.kept:,} run{'' if version.kept == 1 else 's'}" if version.kept else ""


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}"
