"""The gallery shows any text harmlessly and asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.images import Changes, ImageRow, Saving, render_gallery
from hierflow.plan.lanes import Variant
from hierflow.tree import EmbeddingTree

ROW = ImageRow(
    prompt_id="cat",
    image_index=0,
    prompt="a photo of a cat",
    axes={"color": "red", "animal": "cat"},
    variant=Variant(0, 64, 64),
    partition="cat-a1b2c3",
    node_path="0/3/7",
    image_path="images/cat-0123456789ab-0.png",
    image_sha256="ab" * 32,
    evaluations=11.4,
    evaluations_paid=12.0,
    run_id="run",
    scores={"clip_similarity": 0.31},
)
FAILED = replace(ROW, prompt_id="dog", image_path="", status="failed", error="out of <memory>")
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "' onload='alert(1)",
    "{{ 7 * 7 }} {% raw %} {#",
    "line\u2028paragraph\u2029end",
    "猫と🐈‍⬛ صورة لكوب أحمر",
    "x" * 2000,
]


class Page(HTMLParser):
    """What a browser would make of the page: its tags, the text in them, the images' addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._open = attributes.get("id") or attributes.get("class") or tag
        self.texts.setdefault(self._open, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    def data(self) -> dict[str, Any]:
        """What the page's script works on."""
        found: dict[str, Any] = json.loads(self.texts["data"][0])
        return found

    def table(self, row: int) -> dict[str, str]:
        """The texts shown beside an image."""
        columns = self.data()["columns"]
        return {label: values[row] if options is None else options[values[row]] for label, options, values in columns}


def page(rows: list[ImageRow], **changes: Any) -> Page:
    options: dict[str, Any] = {"title": "set", "axes": ["color", "animal"], "facts": [("Saved", "71 %")]}
    return Page(render_gallery(rows=rows, **{**options, **changes}))


def skeleton(seen: Page) -> list[str]:
    return [tag for tag, _ in seen.tags]


def page_full_of(text: str) -> Page:
    axes = {"color": text, "animal": "cat"}
    image = replace(ROW, prompt=text, prompt_id=text, axes=axes, scores={text: 0.5}, node_path=text, partition=text)
    failed = replace(image, axes=ROW.axes, image_path="", status="failed", error=text)
    changes = Changes(("new", "missing"), (text,), 1)
    return page([image, failed], title=text, facts=[(text, text)], notes=[text], changes=changes)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_markup(text: str) -> None:
    seen = page_full_of(text)
    assert skeleton(seen) == skeleton(page_full_of("plain"))
    for place in ("prompt", "h1", "dt", "dd", "note", "error", "title"):
        assert seen.texts[place][0] == text
    assert seen.texts["li"] == [text if len(text) < 200 else text[:200] + "…"]
    assert seen.table(0)["Prompt id"] == text
    assert seen.table(1)["Why"] == text


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_any_prompt_is_shown_as_it_is(prompt: str) -> None:
    seen = page([replace(ROW, prompt=prompt)])
    assert skeleton(seen) == skeleton(page([ROW]))
    assert seen.texts["prompt"] == [prompt]


@pytest.mark.parametrize(
    "path",
    [
        "images/a b.png",
        "images/100%.png",
        "images/what?#no.png",
        "javascript:alert(1).png",
        'images/"quoted".png',
        "images/猫.png",
        "C:\\cat.png",
    ],
)
def test_an_odd_file_name_becomes_a_relative_address_of_that_file(path: str) -> None:
    seen = page([replace(ROW, image_path=path)])
    (image,) = seen.named("img")
    (link,) = (link for link in seen.named("a") if link["class"] == "card")
    assert image["src"] == link["href"]
    assert re.fullmatch(r"[A-Za-z0-9_.~/%-]+", image["src"] or "")
    assert unquote(image["src"] or "") == path


def test_nothing_refers_to_the_network() -> None:
    html = render_gallery("set", [ROW, FAILED], ["color"], [("Saved", "71 %")])
    plain = re.sub(r"(?m)(^| )// .*", "", html).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import", plain)
    (policy,) = [meta["content"] for meta in Page(html).named("meta") if "http-equiv" in meta]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src 'self' file:;")
    assert "unsafe" not in policy


def test_the_policy_allows_exactly_the_pages_own_style_and_script() -> None:
    html = render_gallery("set", [ROW], ["color"], [])
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)
    assert [tag for tag, _ in blocks] == ["style", "script"]
    for tag, content in blocks:
        allowed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{allowed}&#39;" in html.replace("&#43;", "+")
    assert not re.search(r"<[^>]* (style|on\w+)=", html)


def test_images_are_loaded_when_they_come_into_view() -> None:
    (image,) = page([ROW], image_size=(64, 48)).named("img")
    assert (image["loading"], image["decoding"]) == ("lazy", "async")
    assert (image["width"], image["height"]) == ("64", "48")


@pytest.mark.parametrize(("size", "expected"), [((128, 128), True), ((64, 129), False)])
def test_only_small_images_are_enlarged_pixel_by_pixel(size: tuple[int, int], expected: bool) -> None:
    (image,) = page([ROW], image_size=size).named("img")
    assert (image.get("class") == "pixelated") is expected


def test_a_failed_image_is_shown_as_one() -> None:
    seen = page([ROW, FAILED])
    assert len(seen.named("img")) == 1
    assert seen.texts["error"] == ["out of <memory>"]
    assert seen.texts["badge failed"] == ["failed"]


def test_an_outdated_image_is_shown_and_flagged() -> None:
    seen = page([replace(ROW, status="outdated", error="stopped")])
    assert len(seen.named("img")) == 1
    assert seen.texts["badge outdated"] == ["outdated"]


def test_filters_offer_the_axes_in_which_the_images_differ() -> None:
    rows = [ROW, replace(ROW, axes={"color": "blue", "animal": "cat"}), replace(ROW, axes={"animal": "cat"})]
    seen = page(rows)
    assert [select["aria-label"] for select in seen.named("select")] == ["color", "Order"]
    assert seen.texts["option"][:4] == ["Any color", "red", "blue", "—"]
    (filtered,) = seen.data()["filters"]
    assert seen.data()["columns"][filtered] == ["color", ["red", "blue", "—"], [0, 1, 2]]


def test_an_axis_of_very_many_values_is_found_by_search_alone() -> None:
    rows = [replace(ROW, axes={"color": str(number), "animal": str(number % 60)}) for number in range(61)]
    seen = page(rows)
    assert [select["aria-label"] for select in seen.named("select")] == ["animal", "Order"]
    assert seen.data()["searched"] == 3
    assert [label for label, *_ in seen.data()["columns"][:3]] == ["Prompt id", "color", "animal"]


def test_a_value_that_many_images_have_is_written_once() -> None:
    html = render_gallery("set", [replace(ROW, run_id="the-run-of-all")] * 100, ["color"], [])
    assert html.count("the-run-of-all") == 1


def test_facts_and_the_count_are_in_the_header() -> None:
    seen = page([ROW, FAILED], facts=[("Saved", "71 %"), ("Model", "mini")])
    assert seen.texts["dt"] == ["Saved", "Model"]
    assert seen.texts["dd"] == ["71 %", "mini"]
    assert seen.texts["count"] == ["2 images"]


def test_the_details_tell_where_an_image_comes_from() -> None:
    table = page([ROW]).table(0)
    assert table["Node path"] == "0/3/7"
    assert table["Score: clip_similarity"] == "0.3100"
    assert table["Evaluations, its share"] == "11.4"
    assert table["color"] == "red"


def test_an_empty_set_has_a_page() -> None:
    seen = page([])
    assert seen.data()["columns"][0] == ["Prompt id", [], []]
    assert "hidden" not in next(attributes for attributes in seen.named("p") if attributes.get("id") == "none")


def test_a_thumbnail_stands_for_its_image_and_leads_to_it() -> None:
    seen = page(
        [ROW, replace(ROW, image_path="images/light.png")], thumbnails={ROW.image_path: "thumbnails/a b.webp"}
    )
    assert [image["src"] for image in seen.named("img")] == ["thumbnails/a%20b.webp", "images/light.png"]
    assert [link["href"] for link in seen.named("a") if link["class"] == "card"] == [
        ROW.image_path,
        "images/light.png",
    ]


def test_what_the_last_run_changed_is_told_counted_and_flagged() -> None:
    rows = [replace(ROW, prompt_id=str(number)) for number in range(6)]
    changes = Changes(("new", "new", "changed", "kept", "kept", "kept"), ("an old prompt",), 1)
    seen = page(rows, changes=changes)
    assert seen.texts["filter-change"] == ["2 new", "1 changed"]
    assert seen.texts["badge new"] == ["new", "new"]
    assert seen.texts["badge changed"] == ["changed"]
    assert seen.texts["summary"] == ["1 prompt retired"]
    assert seen.texts["li"] == ["an old prompt"]
    assert [select["aria-label"] for select in seen.named("select")] == ["change", "Order"]
    assert seen.table(2)["change"] == "changed"


def test_a_first_run_has_nothing_to_say_of_changes() -> None:
    assert "last run" not in render_gallery("set", [ROW], ["color"], [])
    same = render_gallery("set", [ROW], ["color"], [], changes=Changes(("kept",), (), 0))
    assert "The last run changed no image." in same


def test_thousands_of_retired_prompts_stay_light() -> None:
    texts = tuple(f"{number} " + "x" * 2000 for number in range(2000))
    html = render_gallery("set", [ROW], ["color"], [], changes=Changes(("kept",), texts, 2000))
    assert html.count("<li") == 101
    assert "and 1,900 more" in html
    assert len(html) < len(render_gallery("set", [ROW], ["color"], [])) + 40_000


def test_the_saving_is_drawn_to_scale() -> None:
    seen = page([ROW], saving=Saving(standard=4000, planned=1000, executed=250, by_last_run=True))
    assert seen.texts["strong"] == ["75.0%"]
    assert seen.texts["count"][:3] == ["4,000", "1,000", "250"]
    assert [bar["width"] for bar in seen.named("rect")] == ["100.0", "25.0", "6.25"]
    assert seen.texts["th"] == ["Without sharing", "Planned", "Executed by the last run"]


def test_more_executed_than_without_sharing_still_fits() -> None:
    seen = page([ROW], saving=Saving(standard=100, planned=100, executed=200, by_last_run=False))
    assert [bar["width"] for bar in seen.named("rect")] == ["50.0", "50.0", "100.0"]


def test_the_map_knows_every_images_place() -> None:
    plan = EmbeddingTree.from_embeddings([[1, 0], [0, 1], [1, 0.1]]).plan(tau=0.5, steps=5)
    rows = [replace(ROW, prompt_id=str(number)) for number in range(5)]
    drawn = page(rows, plan=plan, leaves=[0, 1, 2, 2, -1]).data()["map"]
    order = plan.tree.leaf_order.tolist()
    assert drawn["places"] == [*(order.index(leaf) for leaf in (0, 1, 2, 2)), 3]  # the last has none: after the end
    assert page([ROW]).data()["map"] is None
