"""The history in a browser: runs open and close, changes are searched, files that are gone are told, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hierflow.hashing import bytes_digest
from hierflow.images import ImageRow, Version, encode_png, render_gallery, render_history
from hierflow.store.storage import Storage
from hierflow_tests.browser.galleries import DANGEROUS
from hierflow_tests.browser.waiting import follow, wait_until
from hierflow_tests.images.histories import image, told

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

GONE = "Its file is gone."


def written(folder: Path, versions: list[Version], now: list[ImageRow], title: str = "set") -> Path:
    """The page of a history, beside the gallery of its last night, with a file for every version."""
    for number, version in enumerate(versions):
        pixels = np.full((24, 24, 3), 5 * number % 256, dtype=np.uint8)
        Storage(folder).write(version.image_path, encode_png(pixels, {}))
    html = render_history(
        title,
        versions,
        gallery="gallery.html",
        table="history.parquet",
        there={version.image_path for version in versions},
        thumbnails={},
        image_size=(24, 24),
        notes=[title],
    )
    (folder / "history.html").write_text(html, "utf-8")
    gallery = render_gallery(title, now, [], [], image_size=(24, 24), history="history.html")
    (folder / "gallery.html").write_text(gallery, "utf-8")
    return folder / "history.html"


@pytest.fixture
def story(tmp_path: Path) -> Path:
    """Four nights: five images; the cat is drawn anew, the owl goes; the dog is lost; owl and dog return."""
    cat, dog, owl, bee, elk = (image(name) for name in ("cat", "dog", "owl", "bee", "elk"))
    drawn_anew, lost = image("cat", 2), image("dog", 0)
    nights = [[cat, dog, owl, bee, elk], [drawn_anew, dog, bee, elk], [drawn_anew, lost, bee, elk]]
    now = [drawn_anew, dog, bee, elk, owl]
    return written(tmp_path, told(*nights, now), now)


@pytest.fixture
def history(page: Page, story: Path, trouble: list[str]) -> Iterator[Page]:
    page.goto(story.as_uri())
    yield page
    assert trouble == []


def shown(page: Page) -> list[str]:
    """What happened to whom, of the changes that are shown; text that is not drawn yet has no inner text."""
    return [
        f"{event.locator('.badge').first.text_content()} {event.locator('.prompt').text_content()}"
        for event in page.locator(".event:visible").all()
    ]


def opened(page: Page) -> list[str]:
    """The runs that are open."""
    found: list[str] = page.locator("details[open]:visible .id").all_text_contents()
    return found


def test_the_last_run_is_open_and_others_open_as_they_are_asked_for(history: Page) -> None:
    assert shown(history) == ["returned a dog", "returned a owl"]
    history.locator("summary", has_text="night-2").click()
    assert opened(history) == ["night-4", "night-2"]
    assert shown(history)[2:] == ["replaced a cat, version 2", "retired a owl"]
    pair = history.locator(".two img")
    assert [picture.get_attribute("alt") for picture in pair.all()] == ["Before", "After"]
    for picture in pair.all():
        wait_until(history, "image => image.naturalWidth === 24", picture.element_handle())
    boxes = [picture.bounding_box() for picture in pair.all()]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 1
    alone = history.locator(".event:not(.two) img").first.bounding_box()
    assert alone is not None
    assert boxes[0]["width"] > 0.9 * alone["width"]


def test_searching_opens_the_runs_that_match_and_clearing_closes_them(history: Page) -> None:
    history.fill("#text", "OWL")
    assert shown(history) == ["returned a owl", "retired a owl", "made a owl"]
    assert opened(history) == ["night-4", "night-2", "night-1"]
    assert history.locator(".run:visible").count() == 3
    assert history.inner_text("#count") == "3 of 10 changes"
    history.select_option("#kind", "retired")
    assert shown(history) == ["retired a owl"]
    history.fill("#text", "no such thing")
    assert history.locator("#none").is_visible()
    history.click("#clear")
    assert opened(history) == ["night-4"]
    assert history.inner_text("#count") == "10 changes"
    history.fill("#text", "night-3")
    assert shown(history) == ["lost a dog"]


def test_an_image_leads_to_the_gallery_and_back(history: Page) -> None:
    follow(history, "text=a owl", "gallery.html")
    assert history.locator("#dialog .full").inner_text() == "a owl"
    history.keyboard.press("Escape")
    follow(history, "text=History: what every run changed", "history.html")
    assert history.inner_text("h1") == "set"
    assert history.inner_text(".page") == "History"


def test_a_file_that_was_pruned_after_the_page_was_written_is_told(page: Page, story: Path) -> None:
    path = image("cat").image_path
    (story.parent / path).unlink()
    page.goto(story.as_uri())
    page.fill("#text", "night-2 cat")
    page.locator(".two .error").wait_for()
    assert page.locator(".two .error").all_text_contents() == [GONE]
    assert page.locator(f'.two a[href="{path}"]').count() == 0
    assert page.locator(".two img").count() == 1
    page.click("#clear")
    for summary in page.locator("details:not([open]) > summary").all()[::-1]:
        summary.click()
    wait_until(page, "[...document.images].every((image) => image.naturalWidth)")
    assert page.locator(".error").count() == 2  # that, and when it was made; no other picture is called gone


def test_texts_do_no_harm(page: Page, tmp_path: Path, trouble: list[str]) -> None:
    old = [replace(image("x", index=at), prompt_id=text, prompt=text) for at, text in enumerate(DANGEROUS)]
    new = [replace(row, image_sha256=bytes_digest(row.prompt.encode()), prompt=row.prompt + " ") for row in old[1:]]
    new = [replace(row, image_path=f"images/{at}.png") for at, row in enumerate(new)]
    page.goto(written(tmp_path, told(old, new), new, DANGEROUS[0]).as_uri())
    for summary in page.locator("details:not([open]) > summary").all():
        summary.click()
    assert page.locator(".event").count() == 2 * len(DANGEROUS)
    assert [text.strip() for text in page.locator("h1").all_text_contents()] == [DANGEROUS[0]]
    page.fill("#text", "onerror=alert(1)")
    assert len(shown(page)) == 2
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert trouble == []


def test_it_fits_a_phone_and_works_without_a_script(browser: object, story: Path) -> None:
    from playwright.sync_api import Browser

    assert isinstance(browser, Browser)
    context = browser.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    page = context.new_page()
    page.goto(story.as_uri())
    page.locator("summary", has_text="night-2").click()
    assert shown(page)[2:] == ["replaced a cat, version 2", "retired a owl"]
    assert not page.locator(".bar").is_visible()
    box = page.locator(".two").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 360
    context.close()
