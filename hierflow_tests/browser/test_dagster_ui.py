"""Webserver, daemon, sensor and browser together: a job launched over GraphQL becomes a set that one can look at.

Screenshots are kept in $HIERFLOW_SCREENSHOTS, or in pytest's folder of the run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest

from hierflow.assets.graph import PLAN_ASSETS, QUALITY_ASSETS, REPORT_ASSETS, SUBTREE_ASSETS
from hierflow.assets.names import DOCUMENT_TAG
from hierflow.document import load_document
from hierflow.stages.making.todo import todo
from hierflow_tests.browser.dagster_dev import processes_of, wait
from hierflow_tests.browser.made_set import EMOJI, LONG, NAMES, PLAIN, STRANGE, MadeSet, made_set
from hierflow_tests.image_sets import rows_of

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Locator, Page

pytestmark = pytest.mark.browser

Show = Callable[[str, str], "Page"]
Keep = Callable[["Page", str], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeSet]:
    with made_set(tmp_path_factory.mktemp("dagster"), tmp_path_factory.mktemp("documents")) as made:
        yield made
    assert processes_of(made.dagster.session) == []


@pytest.fixture(scope="module")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """Takes a screenshot once the page has everything it asked for."""
    given = os.environ.get("HIERFLOW_SCREENSHOTS")
    folder = Path(given) if given else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=folder / f"{name}.png")

    return keep


@pytest.fixture
def harmless(page: Page) -> Iterator[Page]:
    """A page on which no script may run that came in with a prompt."""
    harm: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        harm.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: harm.append(str(error)))
    page.set_default_timeout(60_000)
    yield page
    assert harm == []


@pytest.fixture
def show(harmless: Page, made: MadeSet) -> Show:
    """Opens a page of the UI and waits for a text on it."""

    def show(path: str, text: str) -> Page:
        harmless.goto(f"{made.dagster.url}{path}")
        harmless.get_by_text(text, exact=True).first.wait_for()
        return harmless

    return show


def location(made: MadeSet) -> str:
    return f"/locations/{made.dagster.repository['repositoryLocationName']}"


def opened(page: Page, key: str) -> Locator:
    """The dialog with the Markdown of a metadata entry."""
    page.get_by_role("row", name=key).get_by_text("[Show Markdown]").click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    return dialog


def subtree_runs(made: MadeSet) -> list[dict[str, Any]]:
    return [run for run in made.dagster.runs() if run["jobName"] == NAMES.subtree_job]


def is_drawn(picture: Locator) -> bool:
    picture.wait_for()
    return bool(picture.evaluate("image => image.decode().then(() => image.naturalWidth > 100)"))


def test_each_partition_is_launched_once_and_the_reports_follow(made: MadeSet) -> None:
    compiled = made.store.plans.current()
    assert compiled is not None
    assert len(compiled.document.keys) > 1
    assert made.partitions_of(made.request) == sorted(compiled.document.keys)
    subtrees = made.runs_of(made.request, NAMES.subtree_job)
    (finish,) = made.runs_of(made.request, NAMES.finish_job)
    assert {run["status"] for run in (*subtrees, finish)} == {"SUCCESS"}
    assert finish["startTime"] >= max(run["endTime"] for run in subtrees)
    assert todo(made.store, compiled) == []


def test_every_asset_is_made_and_the_checks_pass(made: MadeSet) -> None:
    for asset in (*PLAN_ASSETS, *REPORT_ASSETS, *QUALITY_ASSETS):
        assert made.dagster.asset(NAMES.name, asset)["assetMaterializations"], asset
    for asset in ("denoising_plan", *SUBTREE_ASSETS):
        stats = made.dagster.asset(NAMES.name, asset)["partitionStats"]
        assert stats["numMaterialized"] == stats["numPartitions"] > 0, asset
    wanted = {
        "image_set": {"complete"},
        "compute_audit": {"books_balance"},
        "quality_report": {"quality_floor", "blank"},
    }
    for asset, checks in wanted.items():
        told = made.dagster.asset(NAMES.name, asset)["assetChecksOrError"]["checks"]
        passed = {one["name"] for one in told if one["executionForLatestMaterialization"]["evaluation"]["success"]}
        assert checks <= passed, asset


def test_the_graph_shows_every_asset(made: MadeSet, show: Show, keep: Keep) -> None:
    page = show(f"{location(made)}/asset-groups/{NAMES.name}", "compute_audit")
    for asset in ("prompt_source", *PLAN_ASSETS, "denoising_plan", *SUBTREE_ASSETS, *REPORT_ASSETS, *QUALITY_ASSETS):
        page.get_by_text(asset, exact=True).first.wait_for()
    keep(page, "graph")


def test_the_tree_is_drawn(made: MadeSet, show: Show, keep: Keep) -> None:
    page = show(f"/assets/{NAMES.name}/embedding_tree", "Metadata")
    keep(page, "tree_page")
    assert is_drawn(opened(page, "tree").locator("img"))
    keep(page, "tree")


def test_a_partition_shows_its_contact_sheet(made: MadeSet, show: Show, keep: Keep) -> None:
    key = made.partitions_of(made.request)[0]
    page = show(f"/assets/{NAMES.name}/images?view=partitions&partition={quote(key)}", "contact_sheet")
    keep(page, "partition")
    assert is_drawn(opened(page, "contact_sheet").locator("img"))
    keep(page, "contact_sheet")


def test_the_audit_is_plotted(made: MadeSet, show: Show, keep: Keep) -> None:
    page = show(f"/assets/{NAMES.name}/compute_audit", "Plots")
    keep(page, "audit")
    page.get_by_text("Plots", exact=True).click()
    page.locator("canvas").first.wait_for()
    keep(page, "audit_plots")


def test_runs_and_sensor_tell_what_was_done(made: MadeSet, show: Show, keep: Keep) -> None:
    run = made.runs_of(made.request, NAMES.subtree_job)[0]
    page = show(f"/runs/{run['runId']}", "RUN_SUCCESS")
    keep(page, "run")
    page = show(f"{location(made)}/sensors/{NAMES.sensor}", "View logs")
    keep(page, "sensor")


def test_prompts_are_shown_and_do_no_harm(made: MadeSet, show: Show, keep: Keep) -> None:
    page = show(f"/assets/{NAMES.name}/prompt_set", "Metadata")
    for prompt in STRANGE:
        cell = page.get_by_text(prompt[:60]).first  # so short a table is shown in place
        cell.scroll_into_view_if_needed()
        assert cell.is_visible(), prompt
    keep(page, "prompts")


def test_the_gallery_filters_what_the_sensor_made(made: MadeSet, harmless: Page, keep: Keep) -> None:
    page = harmless
    page.goto(made.gallery.as_uri())
    keep(page, "gallery")
    page.select_option("[aria-label=campaign]", label="<b>autumn</b>")
    assert page.locator(".card:visible").count() == len((*STRANGE, *PLAIN)[::2])
    assert EMOJI in page.locator(".card:visible .prompt").all_text_contents()
    keep(page, "gallery_filtered")
    page.locator(".card:visible").nth(2).click()
    page.get_by_role("dialog").wait_for()
    assert page.locator("dialog .full").inner_text().strip() == LONG
    keep(page, "gallery_image")


def test_a_second_launch_with_nothing_changed_launches_no_partition(made: MadeSet) -> None:
    request = made.launch()
    made.wait_for_the_end(request)
    assert made.partitions_of(request) == []


@pytest.mark.parametrize(
    ("assets", "every"),
    [(SUBTREE_ASSETS, False), (SUBTREE_ASSETS, True), ((*PLAN_ASSETS, *SUBTREE_ASSETS, *REPORT_ASSETS), True)],
    ids=["one-partition", "every-partition", "the-whole-graph"],
)
def test_a_backfill_makes_its_partitions_and_is_waited_for(
    made: MadeSet, assets: tuple[str, ...], every: bool
) -> None:
    compiled = made.store.plans.current()
    assert compiled is not None
    keys = compiled.document.keys if every else compiled.document.keys[:1]
    records = made.store.records_of(compiled)
    before = len(subtree_runs(made))
    backfill = made.dagster.backfill([f"{NAMES.name}/{asset}" for asset in assets], keys)
    for key in keys:  # lost once it is asked for: the sensor must leave them to the backfill
        for image in records[compiled.document.partition(key).slice].images:
            made.store.files.delete(image.path)
    assert wait(lambda: made.dagster.end_of_backfill(backfill), "the backfill") == "COMPLETED_SUCCESS"
    runs = [run["tags"] for run in made.dagster.runs() if run["tags"].get("dagster/backfill") == backfill]
    ranged = [tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition") for tags in runs]
    assert sorted(key for key in ranged if key) == sorted(keys)
    assert len(subtree_runs(made)) == before
    assert todo(made.store, compiled) == []


def test_an_edit_launches_what_it_changed_and_a_killed_partition_is_brought_to_its_end(made: MadeSet) -> None:
    edited = (*STRANGE, *PLAIN[:-1], "a blue striped house")
    made.write_prompts(*edited)
    request = made.launch()
    compiled = made.store.plans.current()
    assert compiled is not None
    changed = todo(made.store, compiled)
    assert 0 < len(changed) < len(compiled.document.keys)

    victim = wait(lambda: made.started(request), "a partition to be started")
    psutil.Process(made.dagster.process_of(victim["runId"])).kill()

    made.wait_for_the_end(request)
    killed = victim["tags"]["dagster/partition"]
    assert made.partitions_of(request) == sorted([*changed, killed])
    tries = [run for run in made.runs_of(request, NAMES.subtree_job) if run["tags"]["dagster/partition"] == killed]
    assert [run["status"] for run in tries] == ["FAILURE", "SUCCESS"]
    assert todo(made.store, compiled) == []
    statuses = {row["prompt"]: row["status"] for row in rows_of(made.document)}
    assert statuses == dict.fromkeys(edited, "current")


def test_an_edited_document_is_planned_though_the_code_location_was_not_reloaded(made: MadeSet) -> None:
    text = made.document.read_text("utf-8")
    made.document.write_text(text.replace("name: trial", "name: trial\n  cost: {currency: EUR}"), "utf-8")
    request = made.launch()
    (run,) = [run for run in made.dagster.runs() if run["runId"] == request]
    assert run["tags"][DOCUMENT_TAG] != load_document(made.document).document_digest
    made.wait_for_the_end(request)
    assert made.partitions_of(request) == []
