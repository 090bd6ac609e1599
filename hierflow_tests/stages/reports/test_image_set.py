"""The image set tells what a run changed, and keeps a thumbnail for every heavy image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hierflow.hashing import bytes_digest
from hierflow.spec import ImageSetSpec
from hierflow.stages.making import images, thumbnails
from hierflow.stages.reports import image_set
from hierflow.stages.reports.image_set import GALLERY, MANIFEST, assemble
from hierflow.store.storage import Storage
from hierflow_tests.stages.runs import PROMPTS, Run, carried_out, carry_out, spec_of, stage_of

EDITED = [*PROMPTS[:-1], "a green chair"]


@pytest.fixture
def heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image counts as heavy."""
    for module in (images, thumbnails):
        monkeypatch.setattr(module, "LIGHT", 0)


def document(model: Path, storage: Path, prompts: list[str] = PROMPTS) -> ImageSetSpec:
    return spec_of(model, storage=storage, prompts=prompts, scheduler="ddim")


def page_of(run: Run) -> str:
    return run.stage.store.files.read(GALLERY).decode()


def thumbnails_in(run: Run) -> dict[str, Path]:
    """The thumbnails' files, by the first digits of their images' checksums."""
    files = run.stage.store.files
    return {Path(path).name[:32]: Path(files.url(path)) for path in files.list("thumbnails")}


def counts(run: Run) -> tuple[int, int, int, int]:
    found = run.assembled.changes
    assert found is not None
    return found.new, found.changed, found.kept, found.retired


class Watch:
    """Which files a run reads and writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[str] = []
        self.written: list[str] = []
        for name, paths in (("read", self.read), ("write", self.written)):
            monkeypatch.setattr(Storage, name, self._noting(getattr(Storage, name), paths))

    @staticmethod
    def _noting(method: Any, paths: list[str]) -> Any:
        def noting(storage: Storage, path: str, *arguments: Any, **named: Any) -> Any:
            paths.append(path)
            return method(storage, path, *arguments, **named)

        return noting


@pytest.mark.usefixtures("heavy")
def test_a_heavy_image_gets_a_thumbnail_in_the_run_that_makes_it(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "decode_png", None)  # the pixels are at hand: nothing is decoded again
    run = carry_out(document(tiny_learned, tmp_path))
    found = thumbnails_in(run)
    assert found.keys() == {row.image_sha256[:32] for row in run.assembled.rows}
    page = page_of(run)
    assert all(f'src="thumbnails/320/{path.name}"' in page for path in found.values())
    assert all(f'href="{row.image_path}"' in page for row in run.assembled.rows)


def test_a_light_image_is_its_own_thumbnail(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(document(tiny_learned, tmp_path))
    assert thumbnails_in(run) == {}
    assert all(f'src="{row.image_path}"' in page_of(run) for row in run.assembled.rows)


@pytest.mark.usefixtures("heavy")
def test_a_run_that_changes_nothing_reads_no_image_and_writes_no_thumbnail(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    watch = Watch(monkeypatch)
    second = carry_out(spec)
    assert not [path for path in watch.read if path.startswith(("images/", "thumbnails/"))]
    assert not [path for path in watch.written if path.startswith(("images/", "thumbnails/"))]
    assert thumbnails_in(second) == thumbnails_in(first)


@pytest.mark.usefixtures("heavy")
def test_missing_and_torn_thumbnails_are_made_again_and_no_others(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    files = thumbnails_in(carry_out(spec))
    before = {path: path.read_bytes() for path in files.values()}
    lost, torn, *_ = before
    lost.unlink()
    torn.write_bytes(before[torn][:-1])
    watch = Watch(monkeypatch)
    carry_out(spec)
    assert {path: path.read_bytes() for path in files.values()} == before
    assert {Path(path).name for path in watch.written if path.startswith("thumbnails/")} == {lost.name, torn.name}
    assert len([path for path in watch.read if path.startswith("images/")]) == 2


def test_a_set_made_without_thumbnails_gets_them(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    carry_out(spec)
    monkeypatch.setattr(thumbnails, "LIGHT", 0)
    run = carry_out(spec)
    assert run.ran == []
    assert len(thumbnails_in(run)) == len(PROMPTS)


@pytest.mark.usefixtures("heavy")
def test_an_image_that_cannot_be_decoded_is_shown_without_a_thumbnail(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    row = first.assembled.rows[0]
    image = Path(first.stage.store.files.url(row.image_path))
    image.write_bytes(bytes(len(image.read_bytes())))  # of the right size, so that only a reader notices
    thumbnails_in(first)[row.image_sha256[:32]].unlink()
    said: list[str] = []
    run = carried_out(replace(stage_of(spec), say=said.append))
    assert f'src="{row.image_path}"' in page_of(run)
    assert len(thumbnails_in(run)) == len(PROMPTS) - 1
    assert any(row.image_path in sentence and "damaged" in sentence for sentence in said)


def test_the_first_run_has_nothing_to_compare_with(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(document(tiny_learned, tmp_path))
    assert run.assembled.changes is None
    assert "last run changed" not in page_of(run)


def test_an_edit_is_told_as_new_and_retired(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(document(tiny_learned, tmp_path))
    run = carry_out(document(tiny_learned, tmp_path, EDITED))
    new, changed, kept, retired = counts(run)
    assert (new, retired) == (1, 1)
    assert changed + kept == len(PROMPTS) - 1
    assert run.assembled.changes is not None
    assert run.assembled.changes.retired_prompts == (PROMPTS[-1],)
    assert "1 prompt retired" in page_of(run)
    assert counts(carry_out(document(tiny_learned, tmp_path, EDITED))) == (0, 0, len(PROMPTS), 0)


def test_other_images_of_the_same_prompts_are_told_as_changed(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(document(tiny_learned, tmp_path))
    other = spec_of(tiny_learned, storage=tmp_path, scheduler="ddim", seed=7)
    assert counts(carry_out(other)) == (0, len(PROMPTS), 0, 0)


@pytest.mark.parametrize("keep", [0, 100, -9])
def test_a_damaged_manifest_stops_nothing(tiny_learned: Path, tmp_path: Path, keep: int) -> None:
    spec = document(tiny_learned, tmp_path)
    manifest = Path(carry_out(spec).stage.store.files.url(MANIFEST))
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:keep])
    said: list[str] = []
    run = carried_out(replace(stage_of(spec), say=said.append))
    assert run.assembled.changes is None
    assert "The last manifest was damaged" in page_of(run)
    assert any("manifest" in sentence for sentence in said)
    assert bytes_digest(manifest.read_bytes()) == bytes_digest(whole)


def test_a_run_that_dies_while_it_writes_the_page_does_not_swallow_its_changes(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(document(tiny_learned, tmp_path))
    edited = document(tiny_learned, tmp_path, EDITED)

    def fail(*arguments: object, **named: object) -> str:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(image_set, "render_gallery", fail)
        with pytest.raises(OSError, match="no space"):
            carry_out(edited)
    new, _, _, retired = counts(carry_out(edited))
    assert (new, retired) == (1, 1)


def test_the_page_tells_what_the_last_run_executed(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    page = page_of(first)
    books = first.account.books
    assert "Executed by the last run" in page
    for count in (books.standard, books.planned, books.executed):
        assert f'<td class="count">{count:,}</td>' in page


def test_a_run_that_only_assembles_tells_of_its_invocation_or_else_of_all_runs(
    tiny_learned: Path, tmp_path: Path
) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    count = f'<td class="count">{first.account.books.executed:,}</td>'
    alone = stage_of(spec)
    assemble(alone, first.compiled, first.prompts)
    assert "Executed by all runs" in page_of(first)
    assert page_of(first).count(count) == 2  # as many as were planned
    assemble(replace(alone, invocation="a command that had nothing to do"), first.compiled, first.prompts)
    assert "Executed by the last run" in page_of(first)
    assert '<td class="count">0</td>' in page_of(first)
