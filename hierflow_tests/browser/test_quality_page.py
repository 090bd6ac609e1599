"""The quality page in a browser: pairs are filtered, compared and walked, what is gone is told, nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hierflow.images import encode_png, render_gallery
from hierflow.images.quality_page import render_quality
from hierflow.scoring.pair import Pair
from hierflow.scoring.quality import Diversity, Twins
from hierflow.store.storage import Storage
from hierflow_tests.browser.galleries import DANGEROUS
from hierflow_tests.browser.waiting import follow, wait_until
from hierflow_tests.images.qualities import drawn, quality_of, row_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

GONE = "Its file is gone."
COUNT = 40


def written(
    folder: Path, pairs: Sequence[Pair], title: str = "set", thumbnails: dict[str, str] | None = None
) -> Path:
    """The page of a set's pairs beside its gallery, with a file for every image."""
    for number, one in enumerate(pairs):
        for place, image in enumerate(one.images.values()):
            pixels = np.full((24, 24, 3), (4 * number + 60 * place) % 256, dtype=np.uint8)
            Storage(folder).write(image.path, encode_png(pixels, {}))
    rows = [row_of(one) for one in pairs]
    names = [f"{row.prompt_id}/1" for row in rows]
    quality = quality_of(
        pairs,
        floor=0.5,
        diversity={"set": Diversity(len(rows), 0.2, 9.0)},
        twins=(Twins(names[0], names[2], 0.9991),),
        blank=(names[3],),
    )
    html = render_quality(
        title,
        quality,
        rows,
        gallery="gallery.html",
        table="quality.json",
        there={image.path for one in pairs for image in one.images.values()},
        thumbnails=thumbnails or {},
        image_size=(24, 24),
        floor=0.5,
        near_duplicate=0.995,
    )
    (folder / "quality.html").write_text(html, "utf-8")
    gallery = render_gallery(title, rows, [], [], image_size=(24, 24), quality="quality.html")
    (folder / "gallery.html").write_text(gallery, "utf-8")
    return folder / "quality.html"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Pair]]:
    """The page, and its pairs with the worst loss first."""
    pairs = drawn(COUNT, shared=-0.4)
    file = written(tmp_path_factory.mktemp("a set #1, 100%"), pairs)
    return file, sorted(
        pairs, key=lambda one: one.images["shared"].scores["vqa"] - one.images["standard"].scores["vqa"]
    )


@pytest.fixture
def quality(page: Page, made: tuple[Path, list[Pair]], trouble: list[str]) -> Iterator[Page]:
    page.goto(made[0].as_uri())
    yield page
    assert trouble == []


def shown(page: Page) -> list[str]:
    """The prompts of the pairs that are shown."""
    found: list[str] = page.locator("#pairs .pair:visible .prompt").all_text_contents()
    return found


def loaded(page: Page, selector: str) -> None:
    """Wait until every picture there has come."""
    page.locator(selector).first.scroll_into_view_if_needed()
    wait_until(
        page,
        "selector => [...document.querySelectorAll(selector)].every((image) => image.naturalWidth === 24)",
        selector,
    )


def test_a_pair_stands_side_by_side_and_the_other_arms_come_when_they_are_asked_for(quality: Page) -> None:
    first = "#pairs .pair:first-child figure"
    loaded(quality, f"{first}:not(.other) img")
    boxes = [picture.bounding_box() for picture in quality.locator(f"{first} img").all()]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["x"] + boxes[0]["width"] < boxes[1]["x"]
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 1
    assert boxes[2:] == [None, None]
    others = quality.locator("#pairs .other img")
    assert all(not picture.evaluate("image => image.currentSrc && image.complete") for picture in others.all()[:4])
    quality.check("#arms")
    loaded(quality, f"{first}.other img")
    assert quality.locator(f"{first}:visible").count() == 4


def test_pairs_are_filtered_by_outcome_column_and_text(quality: Page, made: tuple[Path, list[Pair]]) -> None:
    _, pairs = made
    assert shown(quality) == [one.prompt for one in pairs]
    quality.select_option("[aria-label=color]", label="red")
    assert shown(quality) == [one.prompt for one in pairs if one.axes["color"] == "red"]
    quality.select_option("[aria-label=thing]", label="hat")
    assert shown(quality) == [one.prompt for one in pairs if one.axes["thing"] == "hat"]
    assert quality.inner_text("#count") == "10 of 40 pairs"
    quality.select_option("#outcome", "lost")
    lost = shown(quality)
    assert 0 < len(lost) < 10
    assert lost == [one.prompt for one in pairs if one.axes["thing"] == "hat"][: len(lost)]
    quality.keyboard.press("/")
    quality.keyboard.type("no such thing")
    assert quality.locator("#none").is_visible()
    quality.click("#clear")
    assert quality.inner_text("#count") == "40 pairs"
    quality.fill("#text", "MUG number 16")
    assert shown(quality) == ["a red mug, number 16"]


def test_a_pair_is_compared_in_full_size_and_the_next_one_follows(
    quality: Page, made: tuple[Path, list[Pair]]
) -> None:
    _, pairs = made
    red = [one for one in pairs if one.axes["color"] == "red"]
    quality.select_option("[aria-label=color]", label="red")
    quality.locator("#pairs .pair:visible a.tile").first.click()
    assert quality.inner_text("#dialog .full") == red[0].prompt
    assert quality.inner_text("#place") == "1 of 20"
    loaded(quality, "#dialog img")
    wide = quality.locator("#dialog img").first.bounding_box()
    assert wide is not None
    assert wide["width"] > 400
    assert quality.locator("#dialog figure:visible").count() == 4
    assert quality.locator("#dialog .compared b").all_inner_texts() == ["lost"]
    quality.keyboard.press("ArrowLeft")
    assert quality.inner_text("#place") == "1 of 20"
    quality.keyboard.press("ArrowRight")
    quality.keyboard.press("ArrowRight")
    assert quality.inner_text("#dialog .full") == red[2].prompt
    quality.keyboard.press("Escape")
    assert quality.locator("#dialog").is_hidden()
    # The browser gives the focus back to what opened the dialog; the page moves it on when it hears of the close.
    wait_until(
        quality,
        "wanted => document.activeElement.closest('.pair')?.querySelector('.prompt').textContent === wanted",
        red[2].prompt,
    )


def test_everything_is_reached_by_the_keyboard_alone(quality: Page, made: tuple[Path, list[Pair]]) -> None:
    quality.keyboard.press("Tab")
    assert quality.evaluate("document.activeElement.innerText") == "Skip to the pairs"
    quality.keyboard.press("Enter")
    quality.keyboard.press("Tab")
    assert quality.evaluate("document.activeElement.id") == "arms"
    quality.keyboard.press("Space")
    assert quality.locator("#pairs .other").first.is_visible()
    quality.locator("#pairs a.tile").first.focus()
    quality.keyboard.press("Enter")
    assert quality.inner_text("#dialog .full") == made[1][0].prompt
    quality.keyboard.press("Enter")  # the way to the next has the focus
    assert quality.inner_text("#dialog .full") == made[1][1].prompt


def test_a_screen_reader_is_told_what_is_drawn(quality: Page, made: tuple[Path, list[Pair]]) -> None:
    table = quality.get_by_role("table", name="Win rate against standard images")
    for row in ("Shared", "Standard, other seed", "Shuffled tree"):
        assert "%" in table.get_by_role("row", name=row).get_by_role("cell").first.inner_text()
    assert quality.get_by_role("article", name=made[1][0].prompt).first.is_visible()
    assert quality.locator("#count").get_attribute("aria-live") == "polite"
    unnamed = quality.locator("a:not(:has(img)):text-is(''), a:has(img[alt='']), img:not([alt])")
    assert unnamed.count() == 0


def test_a_prompt_leads_to_the_gallery_and_the_gallery_back(page: Page, made: tuple[Path, list[Pair]]) -> None:
    page.goto(made[0].as_uri())
    follow(page, "#pairs a.prompt", "gallery.html")
    assert page.locator("#dialog .full").inner_text() == made[1][0].prompt
    page.keyboard.press("Escape")
    follow(page, "text=Quality: how good the images are", "quality.html")
    assert page.inner_text(".page") == "Quality"
    follow(page, "text=The gallery", "gallery.html")
    assert page.locator(".card").count() == COUNT


def test_files_that_were_pruned_after_the_page_was_written_are_told(page: Page, tmp_path: Path) -> None:
    pairs = drawn(8)
    lost, small = pairs[0].images["shared"].path, pairs[1].images["shared"].path
    file = written(tmp_path, pairs, thumbnails={small: "thumbnails/320/pruned.webp"})
    (tmp_path / lost).unlink()
    page.goto(file.as_uri())
    page.fill("#text", "number 0")
    page.locator("#pairs .error:visible").wait_for()
    assert page.locator("#pairs .error:visible").all_text_contents() == [GONE]
    page.fill("#text", "number 1")
    loaded(page, f"#pairs a[href='{small}'] img")  # its thumbnail is gone, itself it is not
    page.fill("#text", "number 0")
    page.locator("#pairs .pair:visible a.tile").first.click()
    assert page.locator("#dialog .error").all_text_contents() == [GONE]
    assert page.locator("#dialog img").count() == 3


@pytest.mark.parametrize("width", [360, 640, 1000])
def test_a_narrow_screen_needs_no_sideways_scrolling(
    page: Page, made: tuple[Path, list[Pair]], tmp_path: Path, trouble: list[str], width: int
) -> None:
    for file in (made[0], dangerous(tmp_path)):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.check("#arms")
        page.locator("#pairs a.tile").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("#dialog").evaluate("part => part.scrollWidth <= part.clientWidth")
        assert page.locator("#close").is_visible()
    assert trouble == []


def test_texts_do_no_harm(page: Page, tmp_path: Path, trouble: list[str]) -> None:
    page.goto(dangerous(tmp_path).as_uri())
    assert [text.strip() for text in page.locator("h1").all_text_contents()] == [DANGEROUS[0]]
    page.fill("#text", "onerror=alert(1)")
    assert page.locator("#pairs .pair:visible").count() == 1
    page.locator("#pairs .pair:visible a.tile").first.click()
    assert page.inner_text("#dialog .full") == DANGEROUS[1]
    page.keyboard.press("Escape")
    page.click("#clear")
    page.select_option(".filter.column >> nth=-1", index=2)
    assert page.locator("#pairs .pair:visible").count() == 1
    assert trouble == []


def dangerous(folder: Path) -> Path:
    """The page of pairs of prompts that would run a script, or break the page, were they not shown as text."""
    pairs = drawn(2 * len(DANGEROUS))
    pairs = [
        replace(one, prompt=text, prompt_id=text, partition="p", axes={DANGEROUS[0]: text})
        for one, text in zip(pairs, DANGEROUS, strict=False)
    ]
    return written(folder, pairs, DANGEROUS[0])


def test_it_works_without_a_script(browser: Browser, made: tuple[Path, list[Pair]]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(made[0].as_uri())
    assert shown(page) == [one.prompt for one in made[1]]
    assert not page.locator(".bar").is_visible()
    page.check("#arms")
    assert page.locator("#pairs .other").first.is_visible()
    page.locator("#pairs a.tile").first.click()
    page.wait_for_url("**/*.png")
    context.close()
