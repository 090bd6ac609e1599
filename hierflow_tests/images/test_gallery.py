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

from hierflow.images import ImageRow, render_gallery

ROW = ImageRow(
    prompt_id="cat",
    image_index=0,
    prompt="a photo of a cat",
    axes={"color": "red", "animal": "cat"},
    seed=0,
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

    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.texts["data"][0])
        return found


def page(rows: list[ImageRow], **changes: Any) -> Page:
    options: dict[str, Any] = {"title": "set", "axes": ["color", "animal"], "facts": [("Saved", "71 %")]}
    return Page(render_gallery(rows=rows, **{**options, **changes}))


def skeleton(seen: Page) -> list[str]:
    return [tag for tag, _ in seen.tags]


def page_full_of(text: str) -> Page:
    axes = {"color": text, "animal": "cat"}
    image = replace(ROW, prompt=text, prompt_id=text, axes=axes, scores={text: 0.5}, node_path=text, partition=text)
    failed = replace(image, axes=ROW.axes, image_path="", status="failed", error=text)
    return page([image, failed], title=text, facts=[(text, text)], notes=[text])


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_markup(text: str) -> None:
    seen = page_full_of(text)
    assert skeleton(seen) == skeleton(page_full_of("plain"))
    for place in ("prompt", "h1", "dt", "dd", "note", "error", "title"):
        assert seen.texts[place][0] == text
    assert ["Prompt id", text] in seen.records()[0]["table"]
    assert seen.records()[1]["error"] == text


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
    (link,) = seen.named("a")
    assert image["src"] == link["href"]
    assert re.fullmatch(r"[A-Za-z0-9_.~/%-]+", image["src"] or "")
    assert unquote(image["src"] or "") == path


def test_nothing_refers_to_the_network() -> None:
    html = render_gallery("set", [ROW, FAILED], ["color"], [("Saved", "71 %")])
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r" // .*", "", html))
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
    assert [record["choices"] for record in seen.records()] == [[0], [1], [2]]


def test_facts_and_the_count_are_in_the_header() -> None:
    seen = page([ROW, FAILED], facts=[("Saved", "71 %"), ("Model", "mini")])
    assert seen.texts["dt"] == ["Saved", "Model"]
    assert seen.texts["dd"] == ["71 %", "mini"]
    assert seen.texts["count"] == ["2 images"]


def test_the_details_tell_where_an_image_comes_from() -> None:
    table = dict(page([ROW]).records()[0]["table"])
    assert table["Node path"] == "0/3/7"
    assert table["Score: clip_similarity"] == "0.3100"
    assert table["Evaluations, its share"] == "11.4"
    assert table["color"] == "red"


def test_an_empty_set_has_a_page() -> None:
    seen = page([])
    assert seen.records() == []
    assert "hidden" not in next(attributes for attributes in seen.named("p") if attributes.get("id") == "none")
