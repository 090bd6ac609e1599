"""The gallery in a browser: shown, filtered, opened and walked, by pointer and by keyboard; nobody's script runs."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hierflow.images import ImageRow
from hierflow.plan.segments import Plan
from hierflow_tests.browser.galleries import DANGEROUS, STEPS, catalogue, dangerous, large, one_left_out
from hierflow_tests.browser.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ImageRow], Plan]:
    return catalogue(tmp_path_factory.mktemp("a set #1, 100%"))


@pytest.fixture
def gallery(page: Page, made: tuple[Path, list[ImageRow], Plan], trouble: list[str]) -> Iterator[Page]:
    """The catalogue, opened from its file."""
    page.goto(made[0].as_uri())
    yield page
    assert trouble == []


def shown(page: Page) -> list[str]:
    """The prompts of the cards that are shown."""
    found: list[str] = page.locator(".card:visible .prompt").all_text_contents()
    return found


def focused(page: Page) -> str:
    """The text of what has the focus."""
    return str(page.evaluate("document.activeElement.innerText")).strip()


def branch_at(page: Page, step: int, place: int, leaves: int = 16) -> tuple[float, float]:
    """Where the map shows a step of the prompt at a place of the tree's order."""
    box = page.locator("#field").bounding_box()
    assert box is not None
    return box["x"] + (step - 0.5) / STEPS * box["width"], box["y"] + (place + 0.5) / leaves * box["height"]


def members(plan: Plan, rows: list[ImageRow], step: int, place: int) -> set[str]:
    """The prompts that share that step with the prompt at that place."""
    serving = plan.assignment(step)
    node = serving[plan.tree.leaf_order[place]]
    return {rows[leaf].prompt for leaf in np.flatnonzero(serving == node)}


def test_every_picture_is_there(gallery: Page) -> None:
    images = gallery.locator(".card img")
    assert images.count() == 15
    for number in range(15):
        images.nth(number).scroll_into_view_if_needed()
        wait_until(gallery, "image => image.naturalWidth === 24", images.nth(number).element_handle())
    assert gallery.locator(".error").first.inner_text() == "the latents are not finite"


def test_it_works_from_object_storage_too(page: Page, made: tuple[Path, ...], trouble: list[str]) -> None:
    class Folder(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/favicon.ico":  # browsers ask every server for it
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

    handler = functools.partial(Folder, directory=made[0].parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page.goto(f"http://127.0.0.1:{server.server_port}/gallery.html?X-Amz-Signature=1")
        page.locator(".card").first.click()
        image = page.locator(".stage img")
        wait_until(page, "image => image.naturalWidth === 24", image.element_handle())
        server.shutdown()
        thread.join()
    assert trouble == []


def test_filters_and_search_narrow_the_grid_together(gallery: Page) -> None:
    gallery.select_option("[aria-label=color]", label="red")
    gallery.select_option("[aria-label=thing]", label="hat")
    assert shown(gallery) == ["a photo of a red hat", "pixel art of a red hat"]
    gallery.fill("#text", "HAT pixel")
    assert shown(gallery) == ["pixel art of a red hat"]
    assert gallery.locator("#count").inner_text() == "1 of 16 images"
    gallery.fill("#text", "no such words")
    assert gallery.locator("#none").is_visible()
    gallery.click("#clear")
    assert len(shown(gallery)) == 16
    assert gallery.locator("#count").inner_text() == "16 images"
    assert gallery.locator("#clear").is_hidden()


def test_what_the_last_run_changed_can_be_picked(gallery: Page) -> None:
    assert gallery.locator(".changes p").inner_text() == "The last run: 2 new, 1 changed, 12 kept."
    gallery.click("text=2 new")
    assert shown(gallery) == ["a photo of a red mug", "a photo of a red chair"]
    assert gallery.locator(".badge.new:visible").count() == 2
    gallery.click("text=1 changed")
    assert shown(gallery) == ["a photo of a red hat"]
    assert gallery.locator("[aria-label=change]").input_value() == "1"
    gallery.click("text=1 changed")
    assert len(shown(gallery)) == 16
    gallery.click("text=1 prompt retired")
    assert gallery.locator(".changes li").inner_text() == "an old prompt"


def test_images_can_be_ordered_by_the_tree_and_by_score(
    gallery: Page, made: tuple[Path, list[ImageRow], Plan]
) -> None:
    _, rows, plan = made
    gallery.select_option("#order", label="In the tree’s order")
    assert shown(gallery) == [rows[leaf].prompt for leaf in plan.tree.leaf_order]
    gallery.select_option("#order", label="Highest clip_similarity")
    ranked = sorted(rows, key=lambda row: -row.scores["clip_similarity"])
    assert shown(gallery) == [row.prompt for row in ranked]


def test_a_click_shows_the_image_in_full_size_with_its_provenance(
    gallery: Page, made: tuple[Path, list[ImageRow], Plan]
) -> None:
    _, rows, _ = made
    gallery.locator(".card").nth(2).click()
    assert gallery.locator("dialog .full").inner_text() == rows[2].prompt
    image = gallery.locator(".stage img")
    assert image.get_attribute("src") == gallery.locator(".card").nth(2).evaluate("card => card.href")
    table = dict(row.split("\t") for row in gallery.locator(".facts-table tr").all_inner_texts())
    assert table["SHA-256"] == rows[2].image_sha256
    assert table["File"] == rows[2].image_path
    assert table["Evaluations, its share"] == "9.5 of 20"
    assert table["Node path"] == rows[2].node_path
    assert table["change"] == "changed"


def test_the_node_path_is_told_step_by_step_and_leads_to_its_branches(
    gallery: Page, made: tuple[Path, list[ImageRow], Plan]
) -> None:
    _, rows, plan = made
    gallery.locator(".card").nth(2).click()
    told = gallery.locator(".made li").all_inner_texts()
    path = plan.path(2)
    assert len(told) == len(path) > 1
    for text, segment in zip(told, path, strict=True):
        node, first, last = (int(array[segment]) for array in (plan.nodes, plan.first, plan.last))
        others = int(plan.tree.sizes[node]) - 1
        who = f"with {others} other prompt" if others else "alone"
        span = f"Steps {first}–{last}" if first < last else f"Step {first}"
        assert all(part in text for part in (span, who, f"node {node}"))
    gallery.locator(".made button").first.click()
    assert gallery.locator("dialog").is_hidden()
    assert set(shown(gallery)) == {rows[leaf].prompt for leaf in plan.tree.members(int(plan.nodes[path[0]]))}


def test_the_dialog_goes_by_the_keyboard(gallery: Page) -> None:
    gallery.select_option("[aria-label=thing]", label="car")
    gallery.locator(".card:visible").first.focus()
    gallery.keyboard.press("Enter")
    told = gallery.locator("dialog .full")
    assert told.inner_text() == "a photo of a red car"
    assert gallery.locator("#previous").is_disabled()
    gallery.keyboard.press("ArrowRight")
    assert told.inner_text() == "a photo of a blue car"
    gallery.keyboard.press("Enter")  # the arrow on the screen has the focus
    assert told.inner_text() == "pixel art of a red car"
    gallery.keyboard.press("ArrowRight")
    gallery.keyboard.press("ArrowRight")
    assert gallery.locator("#place").inner_text() == "4 of 4"
    gallery.keyboard.press("ArrowLeft")
    gallery.keyboard.press("Escape")
    assert gallery.locator("dialog").is_hidden()
    # The browser gives the focus back to what opened the dialog; the page moves it on when it hears of the close.
    wait_until(gallery, "document.activeElement.innerText.trim().endsWith('pixel art of a red car')")


def test_everything_is_reached_by_the_keyboard_alone(gallery: Page) -> None:
    gallery.keyboard.press("Tab")
    assert focused(gallery) == "Skip to the images"
    gallery.keyboard.press("Enter")
    gallery.keyboard.press("Tab")
    assert focused(gallery).endswith("a photo of a red mug")
    across = int(
        gallery.evaluate("getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length")
    )
    order = shown(gallery)
    gallery.keyboard.press("ArrowRight")
    assert focused(gallery).endswith(order[1])
    gallery.keyboard.press("ArrowDown")
    assert focused(gallery).endswith(order[1 + across])
    gallery.keyboard.press("End")
    assert focused(gallery).endswith(order[-1])
    gallery.keyboard.press("/")
    gallery.keyboard.type("blue hat")
    assert shown(gallery) == ["a photo of a blue hat", "pixel art of a blue hat"]


def test_a_click_on_a_branch_shows_its_images(gallery: Page, made: tuple[Path, list[ImageRow], Plan]) -> None:
    _, rows, plan = made
    gallery.mouse.move(*branch_at(gallery, 1, 5))
    wanted = members(plan, rows, 1, 5)
    assert 1 < len(wanted) < 16
    assert f"{len(wanted)} prompts as one" in gallery.locator("#branch").inner_text()
    gallery.mouse.click(*branch_at(gallery, 1, 5))
    assert set(shown(gallery)) == wanted
    gallery.mouse.click(*branch_at(gallery, STEPS, 0))
    assert set(shown(gallery)) == members(plan, rows, STEPS, 0)
    assert len(shown(gallery)) == 1
    gallery.click("#chip")
    assert len(shown(gallery)) == 16
    assert gallery.locator("#chip").is_hidden()


def test_the_branches_are_walked_by_the_keyboard(gallery: Page, made: tuple[Path, list[ImageRow], Plan]) -> None:
    _, rows, plan = made
    gallery.locator(".map summary").focus()
    gallery.keyboard.press("Tab")
    told = gallery.locator("#branch")
    roots = plan.active(1)
    largest = max(int(plan.tree.sizes[plan.nodes[segment]]) for segment in roots)
    assert f"{largest} prompts as one" in told.inner_text()
    root = int(re.findall(r"node (\d+)", told.inner_text())[0])
    gallery.keyboard.press("Enter")
    assert set(shown(gallery)) == {rows[leaf].prompt for leaf in plan.tree.members(root)}
    gallery.keyboard.press("ArrowRight")
    child = int(re.findall(r"node (\d+)", told.inner_text())[0])
    assert plan.nodes[plan.parent[plan.segment_of_node[child]]] == root
    gallery.keyboard.press("ArrowDown")
    sibling = int(re.findall(r"node (\d+)", told.inner_text())[0])
    assert plan.tree.leaf_starts[sibling] == plan.tree.leaf_starts[child] + plan.tree.sizes[child]
    gallery.keyboard.press("Enter")
    assert set(shown(gallery)) == {rows[leaf].prompt for leaf in plan.tree.members(sibling)}
    gallery.keyboard.press("Escape")
    assert len(shown(gallery)) == 16


def test_the_map_veils_what_the_filters_hide(gallery: Page) -> None:
    assert gallery.locator("#veil").get_attribute("d") == ""
    gallery.select_option("[aria-label=thing]", label="hat")
    assert gallery.locator("#veil").get_attribute("d") != ""


def test_a_prompt_that_the_plan_leaves_out_is_on_no_branch(page: Page, tmp_path: Path, trouble: list[str]) -> None:
    page.goto(one_left_out(tmp_path).as_uri())
    page.select_option("#order", "tree")
    assert shown(page)[-1] == "a grey mug"
    page.mouse.click(*branch_at(page, 1, 2, leaves=3))
    assert "a grey mug" not in shown(page)
    page.click("#clear")
    assert len(shown(page)) == 4
    page.locator(".card").nth(3).click()
    assert page.locator("dialog").get_by_text("it is not finite").first.is_visible()
    assert page.locator(".made").is_hidden()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".made").is_visible()
    assert trouble == []


def test_an_image_has_an_address_of_its_own(gallery: Page, made: tuple[Path, list[ImageRow], Plan]) -> None:
    gallery.locator(".card").nth(4).click()
    gallery.wait_for_url("**#" + made[1][4].prompt_id)
    address = gallery.url
    gallery.keyboard.press("Escape")
    gallery.wait_for_url(lambda url: "#" not in url)
    gallery.goto("about:blank")
    gallery.goto(address)
    assert gallery.locator("dialog .full").inner_text() == made[1][4].prompt


@pytest.mark.parametrize("width", [360, 640, 1000])
def test_a_narrow_screen_needs_no_sideways_scrolling(
    page: Page, made: tuple[Path, ...], tmp_path: Path, trouble: list[str], width: int
) -> None:
    for file in (made[0], dangerous(tmp_path)):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator(".map").evaluate("map => map.open") is (width > 660)
        page.locator(".map").evaluate("map => { map.open = true }")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator(".card").nth(10).click()
        for part in page.locator("dialog, dialog .full").all():
            assert part.evaluate("part => part.scrollWidth <= part.clientWidth")
        assert page.locator("#close").is_visible()
    assert trouble == []


def test_dangerous_prompts_are_shown_and_run_nothing(page: Page, tmp_path: Path, trouble: list[str]) -> None:
    page.goto(dangerous(tmp_path).as_uri())
    assert shown(page) == DANGEROUS
    assert page.locator("h1").inner_text() == DANGEROUS[0]
    for number in range(len(DANGEROUS)):
        page.locator(".card").nth(number).hover()
        page.locator(".card").nth(number).click()
        assert page.locator("dialog .full").text_content() == DANGEROUS[number]
        page.keyboard.press("Escape")
    page.fill("#text", "<script>")
    assert len(shown(page)) == 3
    page.click("#clear")
    page.click(".filter-change")
    assert len(shown(page)) == len(DANGEROUS) - 1
    page.click("#clear")
    assert page.locator(".card img").count() == len(DANGEROUS) - 1
    assert page.locator("script").count() == 2
    assert trouble == []


def test_the_page_refuses_a_script_that_is_not_its_own(
    page: Page, made: tuple[Path, ...], trouble: list[str]
) -> None:
    page.goto(made[0].as_uri())
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "alert(1)";
          document.body.append(script);
        }"""
    )
    assert len(trouble) == 1
    assert "Content Security Policy" in trouble[0]


def test_pictures_and_prompts_are_there_without_javascript(
    browser: Browser, made: tuple[Path, list[ImageRow], Plan]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(made[0].as_uri())
    assert page.locator(".card .prompt").all_text_contents() == [row.prompt for row in made[1]]
    assert page.locator(".card img").first.is_visible()
    assert page.locator("#field svg").is_visible()
    assert page.locator(".bar").is_hidden()
    page.locator(".card").first.click()
    page.wait_for_url(re.compile(r"images/.*png$"))
    context.close()


def quiet(page: Page, requested: list[str]) -> None:
    """Wait until nothing has been asked for in half a second."""
    before = -1
    while before != len(requested):
        before = len(requested)
        page.wait_for_timeout(500)


def test_two_thousand_images_are_light(page: Page, tmp_path: Path) -> None:
    file = large(tmp_path)
    assert file.stat().st_size < 1_500_000
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(file.as_uri())
    wait_until(
        page,
        """() => {
          const cards = [...document.querySelectorAll(".card")];
          const seen = cards.filter((card) => card.getBoundingClientRect().top < innerHeight);
          return cards.length === 2000 && seen.every((card) => card.querySelector("img").complete);
        }""",
    )
    quiet(page, requested)
    at_first = len(requested) - 1
    assert 14 <= at_first <= 120  # what is in view, and what the browser fetches ahead
    assert all(url.endswith(".webp") for url in requested[1:])
    page.locator(".card").last.scroll_into_view_if_needed()
    wait_until(page, "image => image.complete", page.locator(".card img").last.element_handle())
    assert at_first < len(requested) - 1 < 1000
    page.fill("#text", "number 1999")
    assert len(shown(page)) == 1
    page.locator(".card:visible").click()
    assert page.locator(".made li").count() > 1
