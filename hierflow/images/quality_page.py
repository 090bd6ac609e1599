"""The quality page: shared images beside standard ones, worst losses first, and the images as a set."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hierflow.images.manifest import ImageRow
from hierflow.images.page_template import gallery_address, page_template, relative_url, shortened
from hierflow.images.quality_charts import SHARES, Axis, axis_around_zero, mark, signed
from hierflow.images.quality_words import Offer, bracketed, difference, headline, metric_of, percent
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.comparison import Comparison
from hierflow.scoring.judgement import FEWEST, Judgement, best
from hierflow.scoring.pair import SHARED, ArmImage, Pair
from hierflow.scoring.quality import Quality

PAIRS, TWINS, BLANK = 240, 60, 120
"""Cards of each kind that the page shows, so that it stays light; the file beside it lists all."""
_OPTIONS = 60  # of a filter; columns of more values are found by search
_VALUES = 12  # of a column, before the rest is folded away
_LETTERS = 300
_PIXELATED = 128  # as in the gallery
_ARMS = {  # by the names in a pair: label, what is expected of its win rate
    SHARED: ("Shared", "the set’s own images"),
    "standard": ("Standard", ""),
    "again": ("Standard, other seed", "50% is expected"),
    "shuffled": ("Shuffled tree", "known to be bad: must be lower"),
}
_GROUPS = {"set": "All images of the set", SHARED: "Shared, of the pairs", "standard": "Standard, of the pairs"}


def render_quality(
    title: str,
    quality: Quality,
    rows: Sequence[ImageRow],
    *,
    gallery: str,
    table: str,
    there: Collection[str],
    thumbnails: Mapping[str, str],
    image_size: tuple[int, int],
    floor: float | None = None,
    near_duplicate: float | None = None,
    offer: Offer | None = None,
) -> str:
    """The page's HTML, to be stored beside the gallery. It shows any text as text, and asks for nothing but images.

    Args:
        title: the set's name.
        quality: what is known of it.
        rows: its images.
        gallery, table: the files beside it that have the gallery and everything in `quality`.
        there: the paths of the images that exist.
        thumbnails: the path of the thumbnail of an image path; an image that has none is shown itself.
        image_size: width and height in pixels.
        floor: the least win rate that is good enough; None if the document names none.
        near_duplicate: from which cosine on images are called alike; None if nothing has compared them.
        offer: where the document asks for no pairs, what a sample would take.
    """
    pictures = _Pictures(rows, gallery, there, thumbnails)
    judged = best(quality.judgements) if quality.judgements else None
    cards = _cards(quality, judged, pictures)
    columns = _columns([pair for pair, _ in cards])
    return page_template("quality.html", ("gallery.css", "quality.css"), ("pictures.js", "quality.js")).render(
        title=title,
        said=headline(quality, floor, offer),
        facts=_facts(quality, judged, floor),
        measures=[_measure(one, floor, one is judged) for one in quality.judgements],
        pairs=[
            {**card, "values": ",".join(str(options.index(value_of(pair))) for _, options, value_of in columns)}
            for pair, card in cards
        ],
        pairs_left=len(quality.pairs) - len(cards),
        outcomes=_outcomes(quality.pairs, judged),
        filters=[(label, options) for label, options, _ in columns],
        diversity=[
            (words, quality.diversity[name]) for name, words in _GROUPS.items() if name in quality.diversity
        ],
        near_duplicate=near_duplicate,
        twins=[_twins(pictures, one.one, one.other, one.cosine) for one in quality.twins[:TWINS]],
        twins_left=max(0, len(quality.twins) - TWINS),
        blank=[pictures.of_row(name) for name in quality.blank[:BLANK]],
        blank_left=max(0, len(quality.blank) - BLANK),
        fewest=FEWEST,
        gallery=relative_url(gallery),
        table=relative_url(table),
        pixelated=max(image_size) <= _PIXELATED,
    )


class _Pictures:
    """Where images, their thumbnails and their places in the gallery are."""

    def __init__(
        self, rows: Sequence[ImageRow], gallery: str, there: Collection[str], thumbnails: Mapping[str, str]
    ) -> None:
        self._several = any(row.image_index for row in rows)
        self._rows = {f"{row.prompt_id}/{row.image_index + 1}": row for row in rows}
        self._gallery, self._there, self._thumbnails = relative_url(gallery), there, thumbnails

    def urls(self, path: str) -> tuple[str, str] | None:
        """The addresses of an image and of what is shown of it; None if its file is gone."""
        if path not in self._there:
            return None
        return relative_url(path), relative_url(self._thumbnails.get(path, path))

    def link(self, prompt_id: str, image_index: int = 0) -> str:
        """Where the gallery shows an image; empty if it does not."""
        if f"{prompt_id}/{image_index + 1}" not in self._rows:
            return ""
        return f"{self._gallery}#{gallery_address(prompt_id, image_index, self._several)}"

    def of_row(self, name: str) -> dict[str, Any]:
        """An image of the set by its prompt's id and its number."""
        row = self._rows[name]
        return {
            "urls": self.urls(row.image_path),
            "prompt": shortened(row.prompt, _LETTERS),
            "gallery": self.link(row.prompt_id, row.image_index),
            "nth": row.image_index + 1 if self._several else 0,
        }


def _facts(quality: Quality, judged: Judgement | None, floor: float | None) -> list[tuple[str, str]]:
    if judged is None:
        return []
    shared = judged.arms.shared
    return [
        ("judged by", metric_of(judged.metric).name),
        ("pairs", f"{shared.pairs:,}"),
        ("first-level subtrees", f"{shared.groups:,}"),
        ("seeds", f"{shared.seeds:,}"),
        *([] if floor is None else [("floor", f"{100 * floor:g}%")]),
    ]


def _measure(judgement: Judgement, floor: float | None, is_judged: bool) -> dict[str, Any]:
    """What one metric says, as charts and tables."""
    arms = {SHARED: judgement.arms.shared, "again": judgement.arms.again, "shuffled": judgement.arms.shuffled}
    differences = axis_around_zero(arm.difference for arm in arms.values())
    decimals = _decimals(arm.difference for arm in arms.values())
    metric = metric_of(judgement.metric)
    return {
        "name": metric.name,
        "about": metric.about,
        "fault": judgement.arms.fault,
        "differences": _chart(differences, ((arm, one.difference) for arm, one in arms.items()), decimals),
        "zero": differences.place(0.0),
        "win_rates": _chart(SHARES, ((arm, one.win_rate) for arm, one in arms.items()), None),
        "half": SHARES.place(0.5),
        "floor": None if floor is None else (SHARES.place(floor), f"{100 * floor:g}%"),
        "ties": percent(arms[SHARED].ties),
        "band": f"{arms[SHARED].band:.2g}",
        "parts": _parts(judgement, decimals),
        "is_judged": is_judged,
    }


def _chart(axis: Axis, intervals: Iterable[tuple[str, Interval]], decimals: int | None) -> dict[str, Any]:
    """A row an arm; with `decimals` of differences, else of win rates."""
    rows = []
    for arm, one in intervals:
        label, note = _ARMS[arm]
        figure = f"{percent(one.estimate)} {bracketed(one)}" if decimals is None else difference(one, decimals)
        rows.append({"arm": arm, "label": label, "note": note, "figure": figure, "mark": mark(axis, one)})
    return {"rows": rows, "ticks": axis.labels}


def _parts(judgement: Judgement, decimals: int) -> list[dict[str, Any]]:
    """The columns and their values, the worst first."""

    def row(value: str, one: Comparison) -> dict[str, Any]:
        return {
            "value": shortened(value, _LETTERS),
            "pairs": f"{one.pairs:,}",
            "figure": f"{percent(one.win_rate.estimate)} {bracketed(one.win_rate)}",
            "mark": mark(SHARES, one.win_rate),
            "difference": difference(one.difference, decimals),
        }

    found = []
    for column, values in judgement.by.items():
        ordered = sorted(values.items(), key=lambda item: item[1].win_rate.estimate)
        shown = [row(value, one) for value, one in ordered]
        worst = ordered[0][1].win_rate.estimate
        found.append((worst, {"name": column, "rows": shown[:_VALUES], "rest": shown[_VALUES:]}))
    return [part for _, part in sorted(found, key=lambda item: item[0])]


def _decimals(intervals: Iterable[Interval]) -> int:
    """As many as show the largest of some means with three digits."""
    largest = max(abs(one.estimate) for one in intervals)
    return min(8, max(0, 2 - math.floor(math.log10(largest)))) if largest else 2


def _cards(quality: Quality, judged: Judgement | None, pictures: _Pictures) -> list[tuple[Pair, dict[str, Any]]]:
    """The pairs that are shown, the worst losses first; those without the score come last."""
    decimals = {one.metric: _decimals([one.arms.shared.difference]) for one in quality.judgements}

    def rank(pair: Pair) -> float:
        lost_by = _difference(pair, judged.metric) if judged else None
        return math.inf if lost_by is None else lost_by

    return [
        (pair, _card(pair, quality.judgements, judged, decimals, pictures))
        for pair in sorted(quality.pairs, key=rank)[:PAIRS]
    ]


def _card(
    pair: Pair,
    judgements: Sequence[Judgement],
    judged: Judgement | None,
    decimals: Mapping[str, int],
    pictures: _Pictures,
) -> dict[str, Any]:
    def scores(image: ArmImage) -> list[tuple[str, str]]:
        return [
            (metric_of(name).short, f"{image.scores[name]:,.{places}f}".replace("-", "−"))
            for name, places in decimals.items()
            if name in image.scores
        ]

    compared = []
    for one in judgements:
        lost_by = _difference(pair, one.metric)
        if lost_by is not None:
            said = _outcome(pair, one)
            compared.append((metric_of(one.metric).short, signed(lost_by, decimals[one.metric]), said))
    return {
        "prompt": shortened(pair.prompt, _LETTERS),
        "id": pair.prompt_id,
        "gallery": pictures.link(pair.prompt_id),
        "outcome": _outcome(pair, judged) if judged else "not scored",
        "compared": compared,
        "tiles": [
            {"label": label, "urls": pictures.urls(image.path), "scores": scores(image), "other": arm not in _BOTH}
            for arm, (label, _) in _ARMS.items()
            if (image := pair.images.get(arm))
        ],
    }


_BOTH = (SHARED, "standard")


def _difference(pair: Pair, metric: str) -> float | None:
    """Of the scores, shared - standard; None where one is not there."""
    scores = [pair.images[arm].scores.get(metric) for arm in _BOTH]
    return None if scores[0] is None or scores[1] is None else scores[0] - scores[1]


def _outcome(pair: Pair, judgement: Judgement) -> str:
    """What became of the shared image: `lost`, `tied`, `won` or `not scored`."""
    by, band = _difference(pair, judgement.metric), judgement.arms.shared.band
    if by is None:
        return "not scored"
    return "won" if by > band else "lost" if by < -band else "tied"


def _outcomes(pairs: Sequence[Pair], judged: Judgement | None) -> list[tuple[str, int]]:
    found = [_outcome(pair, judged) for pair in pairs] if judged else []
    return [(word, found.count(word)) for word in ("lost", "tied", "won", "not scored") if word in found]


def _columns(pairs: Sequence[Pair]) -> list[tuple[str, list[str], Any]]:
    """What pairs can be filtered by: a column's name, its values, and how a pair's is found."""
    readers: dict[str, Any] = {"partition": lambda pair: pair.partition}
    for name in dict.fromkeys(name for pair in pairs for name in pair.axes):
        readers.setdefault(name, lambda pair, name=name: _shown(pair.axes.get(name)))
    found = [(name, list(dict.fromkeys(map(value_of, pairs))), value_of) for name, value_of in readers.items()]
    return [(name, options, value_of) for name, options, value_of in found if 1 < len(options) <= _OPTIONS]


def _shown(value: object) -> str:
    return "—" if value is None else str(value)


def _twins(pictures: _Pictures, one: str, other: str, cosine: float) -> dict[str, Any]:
    return {"images": [pictures.of_row(one), pictures.of_row(other)], "cosine": f"{cosine:.4f}"}
