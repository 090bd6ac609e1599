"""The history's page tells run by run what happened, shows any text harmlessly, and stays light."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hierflow.images import Version, render_history, updated
from hierflow.images.history_page import PICTURES
from hierflow_tests.images.histories import image, night, told
from hierflow_tests.images.test_gallery import NASTY, Page, skeleton


def html_of(versions: Sequence[Version], **changes: Any) -> str:
    options: dict[str, Any] = {
        "title": "set",
        "gallery": "gallery.html",
        "table": "history.parquet",
        "there": {version.image_path for version in versions},
        "thumbnails": {},
        "image_size": (24, 24),
    }
    return render_history(versions=versions, **{**options, **changes})


def page(versions: Sequence[Version], **changes: Any) -> Page:
    return Page(html_of(versions, **changes))


def sources(seen: Page) -> list[str | None]:
    return [picture["src"] for picture in seen.named("img")]


def test_runs_are_told_the_latest_first_with_what_each_did() -> None:
    versions = told(
        [image("cat"), image("dog"), image("owl")],
        [image("cat", 2), image("dog"), image("owl")],
        [image("cat", 2), image("dog"), image("owl")],  # nothing changed: not told
        [image("cat", 2), image("dog", 0), image("bee")],
    )
    seen = page(versions)
    assert seen.texts["h2"] == ["2026-11-04 03:00 UTC", "2026-11-02 03:00 UTC", "2026-11-01 03:00 UTC"]
    assert seen.texts["did"] == ["1 made, 1 retired, 1 lost", "1 replaced", "3 made"]
    assert seen.texts["id"] == ["night-4", "night-2", "night-1"]
    assert [details.get("open", "closed") for details in seen.named("details")] == [None, "closed", "closed"]
    assert seen.texts["prompt"] == ["a bee", "a owl", "a dog", "a cat, version 2", "a cat", "a dog", "a owl"]
    assert [article["data-kind"] for article in seen.named("article")][:4] == ["made", "retired", "lost", "replaced"]


def test_what_returned_and_what_was_found_is_called_so() -> None:
    found = told([image("cat")])
    assert page([replace(found[0], began="found")]).texts["did"] == ["1 found"]
    assert page(told([image("cat")], [], [image("cat")])).texts["did"] == ["1 returned", "1 retired", "1 made"]


def test_a_replaced_image_is_shown_beside_the_new_one() -> None:
    old, new = image("cat"), image("cat", 2)
    seen = page(told([old], [new]))
    assert sources(seen) == [old.image_path, new.image_path, old.image_path]
    assert [picture["alt"] for picture in seen.named("img")] == ["Before", "After", "Image"]
    assert seen.texts["was"] == ["was: a cat"]
    again = page(told([old], [replace(new, prompt=old.prompt)]))
    assert "was" not in again.texts


def test_an_image_that_is_replaced_again_is_shown_beside_the_last_one() -> None:
    one, two, three = (image("cat", version) for version in (1, 2, 3))
    seen = page(told([one], [two], [three]))
    assert sources(seen) == [row.image_path for row in (two, three, one, two, one)]
    assert seen.texts["was"] == ["was: a cat, version 2", "was: a cat"]


def test_how_long_an_image_was_there_is_told() -> None:
    cat, dog, owl = image("cat"), image("dog"), image("owl")
    seen = page(told([cat, dog, owl], [cat, dog, owl], [cat, image("dog", 2), owl], [cat, image("dog", 2)]))
    assert seen.texts["life"] == [
        "was there since 2026-11-01, kept by 2 runs",  # the owl, retired
        "was there since 2026-11-01, kept by 1 run",  # the dog that was replaced,
        "kept by 1 run, last on 2026-11-04",  # and the other dog
        "kept by 3 runs, last on 2026-11-04",  # when they were made: the cat, the dog and the owl
        "kept by 1 run, replaced on 2026-11-03",
        "kept by 2 runs, retired on 2026-11-04",
    ]


def test_a_file_that_is_gone_is_said_to_be() -> None:
    old, new = image("cat"), image("cat", 2)
    seen = page(told([old], [new]), there={new.image_path})
    assert sources(seen) == [new.image_path]
    assert seen.texts["error"] == ["Its file is gone."] * 2


def test_a_file_that_another_version_has_overwritten_is_not_shown_as_the_old_one() -> None:
    old = image("cat")
    new = replace(old, image_sha256="ff" * 32)
    seen = page(told([old], [new]))
    assert sources(seen) == [new.image_path]
    assert seen.texts["error"] == ["Its file is gone."] * 2


def test_thumbnails_stand_for_their_images() -> None:
    row = image("cat")
    seen = page(told([row]), thumbnails={row.image_sha256[:32]: "thumbnails/320/a b.webp"})
    assert sources(seen) == ["thumbnails/320/a%20b.webp"]
    assert [link["href"] for link in seen.named("a") if link.get("class") == "tile"] == [row.image_path]


@pytest.mark.parametrize("index", [0, 1])
def test_an_image_that_is_still_there_leads_to_its_place_in_the_gallery(index: int) -> None:
    rows = [image("50% #1/ü", index=at) for at in range(index + 1)]
    seen = page(told([*rows, image("gone")], rows))
    links = [link["href"] for link in seen.named("a") if link.get("class") == "prompt"]
    address = "gallery.html#50%25%20%231%2F%C3%BC"
    assert links == ([address] if index == 0 else [f"{address}/1", f"{address}/2"])


def page_full_of(text: str) -> Page:
    row = replace(image("cat"), prompt=text, prompt_id=text)
    versions = told([row, replace(row, image_index=1)], [replace(row, image_sha256="ff" * 32, prompt=text + ".")])
    versions = [replace(version, began_run=text, ended_run=text) for version in versions]
    return page(versions, title=text, notes=[text])


@pytest.mark.parametrize("text", NASTY)
def test_no_text_becomes_markup(text: str) -> None:
    seen = page_full_of(text)
    assert skeleton(seen) == skeleton(page_full_of("plain"))
    shown = text if len(text) <= 300 else text[:300] + "…"
    assert seen.texts["prompt"][-1] == shown
    assert seen.texts["was"] == ["was: " + shown]
    assert (seen.texts["h1"], seen.texts["note"], seen.texts["id"][0]) == ([text], [text], text)
    assert seen.named("article")[0]["data-id"] == text


def test_nothing_refers_to_the_network_and_only_its_own_style_and_script_may_run() -> None:
    html = html_of(told([image("cat")], [image("cat", 2)]))
    plain = re.sub(r"(?m)(^| )// .*", "", html)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", plain)
    assert not re.search(r"<[^>]* (style|on\w+)=", html)
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)
    assert [tag for tag, _ in blocks] == ["style", "script"]
    for tag, content in blocks:
        allowed = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{allowed}&#39;" in html.replace("&#43;", "+")


def test_an_empty_history_has_a_page() -> None:
    seen = page([])
    assert "h2" not in seen.texts
    assert "hidden" not in next(attributes for attributes in seen.named("p") if attributes.get("id") == "none")


def test_a_history_of_years_stays_light_and_says_where_the_rest_is() -> None:
    of_a_set = 600
    versions = told(*[[image(f"thing-{at}", night) for at in range(of_a_set)] for night in range(1, 8)])
    html = html_of(versions)
    shown = PICTURES // 2  # each an image beside the one before it
    assert (html.count("<article"), html.count("<img")) == (shown, PICTURES)
    left = 7 * of_a_set - shown
    assert f"{left:,} earlier changes: the whole history lies in" in html
    assert '<a href="history.parquet">' in html
    assert len(html) < 3_000_000


def test_one_request_that_told_two_states_is_told_twice() -> None:
    once = updated([], [image("cat")], night(1))
    twice = updated(once, [image("cat"), image("dog")], replace(night(2), run="night-1"))
    seen = page(twice)
    assert (seen.texts["id"], seen.texts["did"]) == (["night-1", "night-1"], ["1 made", "1 made"])
    assert dict(zip(seen.texts["dt"], seen.texts["dd"], strict=True)) == {
        "since": "2026-11-01",
        "runs that changed images": "1",
        "images now": "2",
        "versions in all": "2",
    }
