"""The quality page: shared images beside standard ones, worst losses first, and the images as a set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hierflow.images.manifest import ImageRow
from hierflow.images.page_template import PIXELATED, page_template, relative_url, shortened
from hierflow.images.quality_cards import ARMS, LETTERS, Pictures, filter_columns, pair_cards, twin_card
from hierflow.images.quality_charts import SHARES, Axis, axis_around_zero, mark
from hierflow.images.quality_words import (
    Offer,
    bracketed,
    decimals_for,
    decimals_of,
    difference,
    headline,
    metric_of,
    outcomes_of,
    percent,
)
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.comparison import Comparison
from hierflow.scoring.judgement import FEWEST, Judgement, best
from hierflow.scoring.pair import AGAIN, SHARED, SHUFFLED, STANDARD
from hierflow.scoring.pilot_curve import PilotCurve, PilotPoint
from hierflow.scoring.quality import Quality

PAIRS, TWINS, BLANK = 240, 60, 120
"""Cards that the page shows of pairs, near duplicates and blank images, so that it stays light; the file beside it
lists all, of near duplicates the closest."""
_VALUES = 12  # of a column, before the rest is folded away
_EXPECTED = {  # of an arm's difference, of its win rate
    SHARED: ("the set’s own images", "the set’s own images"),
    AGAIN: ("0 is expected", "50% is expected"),
    SHUFFLED: ("shared at random: must be below 0", "shared at random: must be below 50%"),
}
_GROUPS = {"set": "All images of the set", SHARED: "Shared, of the pairs", STANDARD: "Standard, of the pairs"}
_SCRIPTS = ("pictures.js", "quality.js", "compare.js")


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
    pilot: PilotCurve | None = None,
) -> str:
    """The page's HTML, to be stored beside the gallery. It shows any text as text, and asks for nothing but images.

    Without JavaScript everything is there but filters and the view of one pair.

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
        pilot: what tau was found by; None where the document gives it.
    """
    pictures = Pictures(rows, gallery, there, thumbnails)
    judged = best(quality.judgements) if quality.judgements else None
    pairs, cards = pair_cards(quality, judged, pictures, PAIRS)
    columns = filter_columns(pairs)
    places = [",".join(str(column.places[at]) for column in columns) for at in range(len(pairs))]
    return page_template("quality.html", ("gallery.css", "quality.css"), _SCRIPTS).render(
        title=title,
        said=headline(quality, floor, offer, has_images=any(row.image_path for row in rows)),
        facts=_facts(judged, floor),
        pilot=_pilot(pilot) if pilot else None,
        measures=[_measure(one, floor, one is judged) for one in quality.judgements],
        pairs=list(zip(cards, places, strict=True)),
        pairs_left=len(quality.pairs) - len(cards),
        outcomes=outcomes_of(quality.pairs, judged) if judged else [],
        judged_by=metric_of(judged.metric).name if judged else "",
        filters=columns,
        diversity=[(words, quality.diversity[name]) for name, words in _GROUPS.items() if name in quality.diversity],
        near_duplicate=near_duplicate,
        twins=[twin_card(one, pictures) for one in quality.twins[:TWINS]],
        twins_left=max(0, quality.alike - TWINS),
        twins_listed=len(quality.twins) if quality.alike > len(quality.twins) else None,
        blank=[pictures.of_row(name) for name in quality.blank[:BLANK]],
        blank_left=max(0, len(quality.blank) - BLANK),
        fewest=FEWEST,
        gallery=relative_url(gallery),
        table=relative_url(table),
        pixelated=max(image_size) <= PIXELATED,
    )


def _facts(judged: Judgement | None, floor: float | None) -> list[tuple[str, str]]:
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


def _pilot(curve: PilotCurve) -> dict[str, Any]:
    """What every budget of the pilot does to the score, and how much it may."""
    axis = axis_around_zero([*(point.difference for point in curve.points), Interval(-curve.max_loss, None, None)])
    decimals, metric = decimals_for(curve.max_loss), metric_of(curve.metric)
    rows = [
        {
            "arm": SHARED if point.passed else "failed",
            "label": f"{percent(point.budget)} of the evaluations",
            "note": _tried(point),
            "figure": difference(point.difference, decimals),
            "mark": mark(axis, point.difference),
        }
        for point in curve.points
    ]
    passed = [point for point in curve.points if point.passed]
    return {
        "metric": metric.name,
        "allowed": f"{curve.max_loss:g}",
        "drawn": {"rows": rows, "ticks": axis.labels},
        "zero": axis.place(0.0),
        "floor": (axis.place(-curve.max_loss), f"may lose {curve.max_loss:g}"),
        "chosen": f"{percent(passed[-1].budget)} of the evaluations, tau {passed[-1].tau:.3g}" if passed else "",
    }


def _tried(point: PilotPoint) -> str:
    lacking = f", {point.missing} without an image" if point.missing else ""
    return f"tau {point.tau:.3g}, {point.pairs:,} pairs{lacking}: {'passed' if point.passed else 'failed'}"


def _measure(judgement: Judgement, floor: float | None, is_judged: bool) -> dict[str, Any]:
    """What one metric says, as charts and tables."""
    arms = {SHARED: judgement.arms.shared, AGAIN: judgement.arms.again, SHUFFLED: judgement.arms.shuffled}
    axis = axis_around_zero(arm.difference for arm in arms.values())
    decimals = decimals_of(judgement)
    metric = metric_of(judgement.metric)
    return {
        "name": metric.name,
        "about": metric.about,
        "fault": judgement.arms.fault,
        "differences": _chart(axis, ((arm, one.difference) for arm, one in arms.items()), decimals),
        "zero": axis.place(0.0),
        "win_rates": _chart(SHARES, ((arm, one.win_rate) for arm, one in arms.items()), None),
        "half": SHARES.place(0.5),
        "floor": None if floor is None else (SHARES.place(floor), f"floor {100 * floor:g}%"),
        "ties": percent(arms[SHARED].ties),
        "band": f"{arms[SHARED].band:.2g}",
        "parts": _parts(judgement, decimals),
        "is_judged": is_judged,
    }


def _chart(axis: Axis, intervals: Iterable[tuple[str, Interval]], decimals: int | None) -> dict[str, Any]:
    """A row an arm; with `decimals` of differences, else of win rates."""
    rows = []
    for arm, one in intervals:
        figure = f"{percent(one.estimate)} {bracketed(one)}" if decimals is None else difference(one, decimals)
        note = _EXPECTED[arm][decimals is None]
        rows.append({"arm": arm, "label": ARMS[arm], "note": note, "figure": figure, "mark": mark(axis, one)})
    return {"rows": rows, "ticks": axis.labels}


def _parts(judgement: Judgement, decimals: int) -> list[dict[str, Any]]:
    """The columns and their values, the worst first."""
    found = []
    for column, values in judgement.by.items():
        ordered = sorted(values.items(), key=lambda item: item[1].win_rate.estimate)
        shown = [_part(value, one, decimals) for value, one in ordered]
        part = {"name": column, "rows": shown[:_VALUES], "rest": shown[_VALUES:]}
        found.append((ordered[0][1].win_rate.estimate, part))
    return [part for _, part in sorted(found, key=lambda item: item[0])]


def _part(value: str, one: Comparison, decimals: int) -> dict[str, Any]:
    return {
        "value": shortened(value, LETTERS),
        "pairs": f"{one.pairs:,}",
        "figure": f"{percent(one.win_rate.estimate)} {bracketed(one.win_rate)}",
        "mark": mark(SHARES, one.win_rate),
        "difference": difference(one.difference, decimals),
    }
