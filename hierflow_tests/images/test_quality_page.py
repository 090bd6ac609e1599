"""The quality page claims no more than its intervals, shows the worst first, any text harmlessly, and stays light."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hierflow.images.quality_charts import axis_around_zero
from hierflow.images.quality_page import PAIRS, TWINS, render_quality
from hierflow.images.quality_words import Offer
from hierflow.scoring.cluster_bootstrap import Interval
from hierflow.scoring.pair import Pair
from hierflow.scoring.pilot_curve import PilotCurve, PilotPoint
from hierflow.scoring.quality import Diversity, Quality, Twins
from hierflow_tests.images.qualities import both, drawn, pair, quality_of, row_of
from hierflow_tests.images.test_gallery import NASTY, Page, skeleton


def html_of(quality: Quality, pairs: Sequence[Pair] | None = None, **changes: Any) -> str:
    shown = quality.pairs if pairs is None else pairs
    options: dict[str, Any] = {
        "title": "set",
        "rows": [row_of(one) for one in shown],
        "gallery": "gallery.html",
        "table": "quality.json",
        "there": {image.path for one in shown for image in one.images.values()},
        "thumbnails": {},
        "image_size": (64, 64),
        "near_duplicate": 0.995,
    }
    return render_quality(quality=quality, **{**options, **changes})


def page(quality: Quality, pairs: Sequence[Pair] | None = None, **changes: Any) -> Page:
    return Page(html_of(quality, pairs, **changes))


def text_of(html: str, start: str, end: str) -> str:
    """The text of the page between two pieces of its markup, in one line."""
    part = html[html.index(start) :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", part[: part.index(end)])).strip()


def headline(quality: Quality, **changes: Any) -> str:
    return text_of(html_of(quality, **changes), '<p class="headline">', "</p>")


def why(quality: Quality, **changes: Any) -> str:
    """The sentences below the headline."""
    return text_of(html_of(quality, **changes), '<p class="hint">', "</div>")


def cards(html: str) -> list[str]:
    return re.findall(r'<article class="pair".*?</article>', html, re.DOTALL)


def prompts(html: str) -> list[str]:
    return re.findall(r'class="prompt"[^>]*>([^<]*)', html)


def test_the_headline_is_the_win_rate_with_its_interval_and_what_the_floor_makes_of_it() -> None:
    undecided = quality_of(drawn(shared=-0.2), floor=0.5)
    assert undecided.verdict is not None
    (one,) = undecided.judgements
    rate = one.arms.shared.win_rate
    assert rate.lower is not None
    assert rate.upper is not None
    figure = f"{100 * rate.estimate:.0f}% ({100 * rate.lower:.0f} to {100 * rate.upper:.0f}%)"
    more = f"about {undecided.verdict.more_pairs} more pairs would tell whether that is enough for the floor of 50%."
    assert headline(undecided, floor=0.5) == f"Shared images win {figure} against standard ones: undecided, {more}"
    passed = headline(quality_of(drawn(shared=0.3), floor=0.45), floor=0.45)
    assert passed.endswith("against standard ones: enough for the floor of 45% less its margin of 5 points.")
    blocked = headline(quality_of(drawn(shared=-1.5), floor=0.45), floor=0.45)
    assert blocked.endswith("against standard ones: less than the floor of 45%.")


@pytest.mark.parametrize(
    ("shift", "said"),
    [(0.0, "no difference can be told from these pairs"), (-1.5, "they do worse"), (1.5, "they do better")],
)
def test_without_a_floor_the_headline_says_what_the_interval_carries(shift: float, said: str) -> None:
    assert headline(quality_of(drawn(shared=shift))).endswith(f" against standard ones: {said}.")


def test_an_interval_of_one_seed_is_said_to_speak_of_that_seed_alone() -> None:
    pairs = drawn(32)
    assert "all pairs are of one seed" in why(quality_of(pairs))
    seeds = [replace(one, seed=number % 2) for number, one in enumerate(pairs)]
    assert "all pairs are of one seed" not in why(quality_of(seeds))


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("VQA score: the measure is broken", {"again": 2.0}),
        ("VQA score: the measure sees nothing here", {"shuffled": 0.0}),
        ("VQA score: whether the measure sees anything cannot be told", {"groups": 1}),
    ],
)
def test_a_measure_with_a_fault_gives_a_sentence_and_no_large_figure(fault: str, changes: dict[str, Any]) -> None:
    quality = quality_of(drawn(shared=-1.5, **changes), floor=0.5)
    assert headline(quality, floor=0.5) == "Whether shared images are as good as standard ones cannot be told."
    assert why(quality).startswith(fault)
    seen = page(quality, floor=0.5)
    assert "strong" not in seen.texts
    assert "open" not in next(details for details in seen.named("details") if details.get("class") == "by")


def test_the_first_measure_without_a_fault_decides_and_the_other_is_flagged() -> None:
    pairs = both(drawn(shared=-1.5, again=2.0), drawn(shared=0.0, metric="clip"))
    html = html_of(quality_of(pairs))
    seen = Page(html)
    assert dict(zip(seen.texts["dt"], seen.texts["dd"], strict=True))["judged by"] == "CLIP score"
    assert "no difference" in text_of(html, '<p class="headline">', "</p>")
    assert seen.texts["h2"][:2] == ["By VQA score", "By CLIP score"]
    (note,) = seen.texts["note"]
    assert note.startswith("Not to be relied on: the measure is broken")
    worst = min(pairs, key=lambda one: one.images["shared"].scores["clip"] - one.images["standard"].scores["clip"])
    assert prompts(html)[0] == worst.prompt


def test_dots_and_ranges_lie_where_the_figures_are() -> None:
    quality = quality_of(drawn(shared=-0.2), floor=0.4)
    (one,) = quality.judgements
    seen = page(quality, floor=0.4)
    lines = seen.named("line")
    middles = {line["x1"] for line in lines if line["class"] == "middle"}
    floors = {line["x1"] for line in lines if line["class"] == "floor"}
    ranges = [(line["x1"], line["x2"]) for line in lines if (line["class"] or "").startswith("range")]
    dots = [dot["cx"] for dot in seen.named("circle")]

    def at(share: float) -> str:
        return f"{100 * (share + 0.04) / 1.08:.2f}%"

    assert at(0.5) in middles
    assert floors == {at(0.4)}
    arms = [one.arms.shared, one.arms.again, one.arms.shuffled]
    axis = axis_around_zero(arm.difference for arm in arms)
    assert axis.place(0.0) in middles
    assert dots[:3] == [axis.place(arm.difference.estimate) for arm in arms]
    rates = [arm.win_rate for arm in arms]
    assert dots[3:6] == [at(rate.estimate) for rate in rates]
    assert ranges[3:6] == [(at(rate.lower or 0.0), at(rate.upper or 0.0)) for rate in rates]
    without = page(quality_of(drawn(shared=-0.2)))
    assert not [line for line in without.named("line") if line["class"] == "floor"]


def test_how_tau_was_found_is_shown_up_to_the_budget_that_failed() -> None:
    tried = [
        PilotPoint(0.9, 0.12, 64, Interval(-0.01, -0.02, 0.0), True),
        PilotPoint(0.8, 0.25, 64, Interval(-0.02, -0.04, 0.0), True),
        PilotPoint(0.7, 0.5, 64, Interval(-0.08, -0.1, -0.06), False, missing=2),
    ]
    html = html_of(quality_of([]), pilot=PilotCurve("vqa", 0.05, tried))
    told = text_of(html, 'id="pilot"', "</section>")
    assert "may lose more than 0.05 by VQA score" in told
    assert "The set is made at the last that keeps to it: 80% of the evaluations, tau 0.25." in told
    assert "90% of the evaluations tau 0.12, 64 pairs: passed −0.0100 (−0.0200 to 0.0000)" in told
    assert "70% of the evaluations tau 0.5, 64 pairs, 2 without an image: failed" in told
    seen, axis = Page(html), axis_around_zero([*(one.difference for one in tried), Interval(-0.05, None, None)])
    dots = [(dot["class"], dot["cx"]) for dot in seen.named("circle")]
    kinds = ("mean shared", "mean shared", "mean failed")
    assert dots == [(kind, axis.place(one.difference.estimate)) for kind, one in zip(kinds, tried, strict=True)]
    assert {line["x1"] for line in seen.named("line") if line["class"] == "floor"} == {axis.place(-0.05)}
    safest = html_of(quality_of([]), pilot=PilotCurve("vqa", 0.05, tried[2:]))
    assert "None keeps to it, so nothing is shared." in text_of(safest, 'id="pilot"', "</section>")
    assert "pilot" not in html_of(quality_of([]))


def test_without_an_interval_there_is_a_dot_and_no_range() -> None:
    html = html_of(quality_of(drawn(groups=1)))
    assert "range" not in re.findall(r'<line class="(\w+)', html)
    assert "too few subtrees for a range" in html


def test_parts_are_listed_the_worst_first_with_their_pairs() -> None:
    pairs = [
        replace(
            one,
            images={
                **one.images,
                "shared": replace(
                    one.images["shared"],
                    scores={
                        "vqa": one.images["shared"].scores["vqa"] - {"red": 3.0, "blue": 0.0}[one.axes["color"]],
                    },
                ),
            },
        )
        for one in drawn(64)
    ]
    html = html_of(quality_of(pairs))
    tables = re.findall(r'<table class="parts">.*?</table>', html, re.DOTALL)
    listed = [re.findall(r'<th scope="row" dir="auto">([^<]*)</th><td>(\d+)', table) for table in tables]
    heads = [re.findall(r'<th scope="col" dir="auto">([^<]*)', table)[0] for table in tables]
    of_color = dict(zip(heads, listed, strict=True))["color"]
    assert of_color == [("red", "32"), ("blue", "32")]
    assert set(heads) == {"color", "thing", "partition"}
    assert heads[-1] == "partition"  # whose values are the least bad


def test_pairs_come_with_the_worst_loss_first_and_what_became_of_them() -> None:
    pairs = [*drawn(40, shared=-0.5), pair(40, {})]
    quality = quality_of(pairs)
    html = html_of(quality)
    band = quality.judgements[0].arms.shared.band
    by = {one.prompt: one.images["shared"].scores["vqa"] - one.images["standard"].scores["vqa"] for one in pairs[:40]}
    assert prompts(html)[:-1] == sorted(by, key=lambda prompt: by[prompt])
    assert prompts(html)[-1] == pairs[40].prompt
    outcomes = re.findall(r'data-outcome="([^"]*)"', html)
    expected = ["lost" if value < -band else "won" if value > band else "tied" for value in sorted(by.values())]
    assert outcomes == [*expected, "not scored"]
    counts = ", ".join(f"{expected.count(word)} {word}" for word in ("lost", "tied", "won"))
    assert f"Shared images, by VQA score: {counts}, 1 not scored." in html


def test_a_card_shows_all_arms_with_scores_and_the_difference() -> None:
    scores = {"shared": {"vqa": 1.0}, "standard": {"vqa": 3.5}, "again": {"vqa": -3.0}, "shuffled": {"vqa": -9.0}}
    quality = replace(quality_of(drawn(shared=-0.33)), pairs=(pair(0, scores),))
    (card,) = cards(html_of(quality))
    assert re.findall(r"<span>([^<]*)</span>\s*<span class=\"score\">([^<]*)", card) == [
        ("Shared", "VQA 1.00"),
        ("Standard", "VQA 3.50"),
        ("Standard, other seed", "VQA −3.00"),
        ("Shuffled tree", "VQA −9.00"),
    ]
    assert card.count('class="other"') == 2
    assert "VQA −2.50" in card
    assert re.findall(r'src="([^"]*)"', card) == [image.path for image in quality.pairs[0].images.values()]
    assert card.count('loading="lazy"') == 4


def test_an_image_that_is_gone_is_said_to_be() -> None:
    quality = quality_of(drawn(16))
    there = {image.path for one in quality.pairs for arm, image in one.images.items() if arm != "shared"}
    html = html_of(quality, there=there)
    assert html.count('<p class="error">Its file is gone.</p>') == 16
    assert html.count("<img") == 3 * 16


def test_a_thumbnail_stands_for_its_image_and_leads_to_it() -> None:
    one = drawn(16)[0]
    shown = one.images["standard"].path
    html = html_of(quality_of([one]), thumbnails={shown: "thumbnails/320/a b.webp"})
    assert f'<a class="tile" href="{shown}"><img src="thumbnails/320/a%20b.webp"' in html


def test_a_prompt_leads_to_the_gallery_if_it_is_still_there() -> None:
    gone, here = drawn(2)
    html = html_of(
        quality_of([gone, replace(here, prompt_id="50% #1/ü")]), rows=[replace(row_of(here), prompt_id="50% #1/ü")]
    )
    assert re.findall(r'<a class="prompt" href="([^"]*)"', html) == ["gallery.html#50%25%20%231%2F%C3%BC"]
    assert '<p class="prompt"' in html


def test_filters_offer_the_columns_in_which_the_pairs_differ() -> None:
    pairs = [replace(one, axes={**one.axes, "same": "x", "own": number}) for number, one in enumerate(drawn(80))]
    seen = page(quality_of(pairs))
    assert [select["aria-label"] for select in seen.named("select")] == ["Outcome", "partition", "color", "thing"]
    (first, *_) = [card["data-places"] for card in seen.named("article")]
    assert first is not None
    assert len(first.split(",")) == 3


def test_only_so_many_pairs_are_shown_and_the_rest_is_counted() -> None:
    quality = quality_of(drawn(PAIRS + 60))
    html = html_of(quality)
    assert len(cards(html)) == PAIRS
    assert "and 60 more pairs, of smaller losses" in html
    assert '<a href="quality.json">quality.json</a>' in html
    assert len(html) < 700_000


def test_diversity_stands_side_by_side() -> None:
    diversity = {
        "standard": Diversity(32, 0.2415, 9.5),
        "shared": Diversity(32, 0.2384, 9.31),
        "set": Diversity(1200, 0.246, 10.98),
    }
    table = text_of(html_of(quality_of([], diversity=diversity)), '<table class="diversity">', "</table>")
    assert table.endswith(
        "All images of the set 1,200 0.246 11.0 Shared, of the pairs 32 0.238 9.3 Standard, of the pairs 32 0.241 9.5"
    )


def test_near_duplicates_and_blank_images_are_shown_and_lead_to_the_gallery() -> None:
    pairs = drawn(4)
    quality = quality_of([], twins=(Twins("id-0/1", "id-2/1", 0.99912),), blank=("id-3/1",))
    html = html_of(quality, pairs)
    (card,) = cards(html)
    assert re.findall(r'<img src="([^"]*)"', html) == [pairs[at].images["shared"].path for at in (0, 2, 3)]
    assert re.findall(r'class="prompt" href="([^"]*)"', html) == [f"gallery.html#id-{at}" for at in (0, 2, 3)]
    assert "cosine 0.9991" in card
    many = quality_of([], twins=(Twins("id-0/1", "id-2/1", 0.999),) * (TWINS + 5))
    assert "and 5 more near duplicates: all lie in" in html_of(many, pairs)
    too_many = f"and {10_000 - TWINS:,} more near duplicates: the closest {TWINS + 5} lie in"
    assert too_many in html_of(replace(many, alike=10_000), pairs)


def test_a_set_without_near_duplicates_and_one_that_nobody_has_compared_are_told_apart() -> None:
    assert "no two images of different prompts have a cosine of 0.995 or more" in html_of(quality_of([]))
    unknown = html_of(quality_of([]), near_duplicate=None)
    assert "Nobody has looked" in unknown
    assert "no two images" not in unknown
    assert "every image shows something" in unknown


def test_a_set_without_pairs_says_how_to_get_them_and_what_they_cost() -> None:
    quality, rows = quality_of([]), [row_of(one) for one in drawn(1)]
    offer = Offer(pairs=64, evaluations=7_680, planned=2_060)
    assert headline(quality, rows=rows, offer=offer) == "Shared images are not compared with standard ones."
    assert "baseline_sample: 64" in why(quality, rows=rows, offer=offer)
    assert "at most 7,680 evaluations, 3.7 times the set’s own 2,060" in why(quality, rows=rows, offer=offer)
    assert headline(quality, rows=rows) == "There are no pairs to compare yet."
    assert headline(quality, offer=offer) == "There are no images yet."
    seen = page(quality, rows=rows, offer=offer)
    assert seen.texts["h2"] == ["The set as a set"]
    assert not seen.named("dialog")


def full_of(text: str) -> str:
    pairs = [replace(one, prompt=text, prompt_id=text, partition=text) for one in drawn(20)]
    pairs = [replace(one, axes={text: text if number % 2 else "x"}) for number, one in enumerate(pairs)]
    quality = quality_of(pairs, twins=(Twins(f"{text}/1", f"{text}/1", 1.0),), blank=(f"{text}/1",))
    return html_of(quality, title=text)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_markup(text: str) -> None:
    seen = Page(full_of(text))
    assert skeleton(seen) == skeleton(Page(full_of("plain")))
    assert seen.texts["h1"] == [text]
    shown = text if len(text) <= 300 else text[:300] + "…"
    assert {words for name, found in seen.texts.items() if re.fullmatch(r"p\d+|prompt", name) for words in found} == {
        shown
    }
    assert {select["aria-label"] for select in seen.named("select")} == {"Outcome", text}


def test_nothing_refers_to_the_network_and_only_its_own_style_and_script_may_run() -> None:
    html = html_of(quality_of(drawn(20)))
    plain = re.sub(r"(?m)(^| )// .*", "", html)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", plain)
    assert not re.search(r"<[^>]* (style|on\w+)=", html)
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)
    assert [tag for tag, _ in blocks] == ["style", "script"]
    for tag, content in blocks:
        allowed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{allowed}&#39;" in html.replace("&#43;", "+")
