"""A run's changes are told image by image, against the manifest that was there."""

from __future__ import annotations

from dataclasses import replace

from hierflow.images import Changes, ImageRow, build_manifest, compare
from hierflow.plan.lanes import Variant

ROW = ImageRow(
    prompt_id="cat",
    image_index=0,
    prompt="a cat",
    axes={},
    variant=Variant(0, 64, 64),
    partition="p",
    node_path="0@1-2",
    image_path="images/cat.png",
    image_sha256="aa" * 32,
    evaluations=1.0,
    evaluations_paid=1.0,
    run_id="run",
)
OTHER = "bb" * 32


def named(prompt_id: str, sha256: str = ROW.image_sha256, index: int = 0) -> ImageRow:
    row = replace(ROW, prompt_id=prompt_id, prompt=f"a {prompt_id}", image_index=index, image_sha256=sha256)
    return row if sha256 else replace(row, image_path="", status="failed")


def changed(before: list[ImageRow], now: list[ImageRow]) -> Changes:
    return compare(build_manifest(before, []), now)


def test_every_image_is_new_changed_kept_or_missing() -> None:
    before = [named("cat"), named("dog"), named("owl", ""), named("fox"), named("elk", "")]
    now = [named("fox", ""), named("cat"), named("dog", OTHER), named("owl"), named("bee"), named("elk", "")]
    found = changed(before, now)
    assert found.of_rows == ("missing", "kept", "changed", "new", "new", "missing")
    assert (found.new, found.changed, found.kept, found.retired) == (2, 1, 1, 0)


def test_a_prompt_has_an_image_for_each_index() -> None:
    found = changed([named("cat"), named("cat", OTHER, 1)], [named("cat", index=2), named("cat", index=1)])
    assert found.of_rows == ("new", "changed")
    assert found.retired == 0


def test_prompts_that_are_gone_are_retired_by_their_text() -> None:
    twin = replace(named("tom"), prompt="a cat")
    before = [named("dog"), named("cat"), named("cat", index=1), twin, named("owl", "")]
    found = changed(before, [named("dog")])
    assert found.retired_prompts == ("a cat", "a owl")
    assert found.retired == 3
    assert found.of_rows == ("kept",)


def test_an_edited_text_under_an_old_id_is_no_retired_prompt() -> None:
    found = changed([named("cat")], [replace(named("cat", OTHER), prompt="a black cat")])
    assert (found.of_rows, found.retired) == (("changed",), 0)


def test_other_axes_make_no_difference() -> None:
    before = build_manifest([replace(ROW, axes={"color": "red"})], ["color"])
    assert compare(before, [replace(ROW, axes={"size": 1})]).of_rows == ("kept",)


def test_an_outdated_image_is_kept() -> None:
    assert changed([ROW], [replace(ROW, status="outdated", error="stopped")]).of_rows == ("kept",)
