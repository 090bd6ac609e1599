"""Files that are torn, altered or gone are noticed and made again, and the ledger says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hierflow.errors import RunError
from hierflow.spec import ImageSetSpec
from hierflow.stages.reports.image_set import assembled
from hierflow_tests.stages.runs import PROMPTS, Run, assert_equal, carry_out, spec_of


def truncate(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path: Path, other: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def put_another_in_its_place(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def remove(path: Path, other: Path) -> None:
    path.unlink()


DAMAGES: list[Callable[[Path, Path], None]] = [truncate, flip_a_bit, empty, put_another_in_its_place, remove]


def document(model: Path, storage: Path, every: int = 2, prompts: list[str] | None = None) -> ImageSetSpec:
    sharing = {"tau": 0.5, "checkpoint_every": every}
    return spec_of(model, prompts=prompts, storage=storage, sharing=sharing, scheduler="unipc")


def file_of(run: Run, state: str) -> Path:
    return Path(run.stage.store.files.url(f"states/{state[:2]}/{state}.safetensors"))


def forget_images(run: Run) -> None:
    for folder in ("images", "records"):
        shutil.rmtree(run.stage.store.files.url(folder))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_final_states_are_made_again(
    tiny_learned: Path, tmp_path: Path, damage: Callable[[Path, Path], None]
) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    latents, pixels = first.latents(), first.pixels()
    finals = [first.compiled.lanes[0].ids.final(leaf) for leaf in range(len(PROMPTS))]
    for state in finals[:2]:
        damage(file_of(first, state), file_of(first, finals[2]))
    forget_images(first)

    second = carry_out(spec)
    assert_equal(second.latents(), latents)
    assert_equal(second.pixels(), pixels)
    plan, books = second.compiled.plan, second.account.books
    segments = plan.segment_of_node[:2]
    # Step 4 is a checkpoint, step 6 the last: what is repeated starts after the later of 4 and the split.
    assert books.executed == sum(6 - max(4, int(plan.first[s]) - 1) for s in segments)
    assert books.problems == ()
    if damage is not remove:
        (entry,) = (entry for entry in second.entries if entry.stage == "partition")
        assert set(entry.damaged) == set(finals[:2])
        assert (books.redone, books.replayed) == (books.executed, 0)

    forget_images(first)
    assert carry_out(spec).account.books.executed == 0


def test_a_damaged_split_state_is_made_again_only_where_it_is_needed(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path, every=0)
    first = carry_out(spec)
    latents, plan, ids = first.latents(), first.compiled.plan, first.compiled.lanes[0].ids
    leaf = next(leaf for leaf in range(len(PROMPTS)) if len(plan.path(leaf)) == 3)
    path = plan.path(leaf)
    for segment in path[1:]:
        truncate(file_of(first, ids.end(segment)), tmp_path)
    forget_images(first)

    second = carry_out(spec)
    assert_equal(second.latents(), latents)
    assert second.account.books.executed == plan.steps - int(plan.last[path[0]])
    assert second.account.books.problems == ()
    (entry,) = (entry for entry in second.entries if entry.stage == "partition")
    assert set(entry.damaged) == {ids.end(segment) for segment in path[1:]}


@pytest.mark.parametrize("folder", ["images", "records"])
def test_lost_images_and_records_cost_no_evaluation(tiny_learned: Path, tmp_path: Path, folder: str) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    pixels = first.pixels()
    shutil.rmtree(first.stage.store.files.url(folder))
    second = carry_out(spec)
    assert_equal(second.pixels(), pixels)
    assert second.account.books.executed == 0
    assert second.account.books.problems == ()


def test_a_damaged_image_beside_a_lost_one_is_decoded_again(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    pixels = first.pixels()
    files = [Path(first.stage.store.files.url(row.image_path)) for row in first.assembled.rows]
    files[0].unlink()
    flip_a_bit(files[1], files[0])
    second = carry_out(spec)
    assert_equal(second.pixels(), pixels)
    assert second.account.books.executed == 0


def test_what_cannot_be_made_again_is_flushed_to_the_disk(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, real = set[Path](), os.fsync

    def noted(opened: int) -> None:
        flushed.add(Path(os.readlink(f"/proc/self/fd/{opened}")))
        real(opened)

    monkeypatch.setattr(os, "fsync", noted)
    run = carry_out(document(tiny_learned, tmp_path))
    folder = Path(run.stage.store.files.url())
    files = {path.relative_to(folder).parts[0] for path in flushed if path.is_relative_to(folder) and path != folder}
    assert files >= {"trees", "plans", "conditioning", "embeddings", "prompts", "records", "images", "ledger"}
    assert "states" not in files
    assert folder in flushed  # where the pointer lies


@pytest.mark.parametrize("damage", [truncate, empty])
def test_damaged_conditioning_is_computed_again(
    tiny_learned: Path, tmp_path: Path, damage: Callable[[Path, Path], None]
) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    (shard,) = first.stage.store.files.list("conditioning")
    damage(Path(first.stage.store.files.url(shard)), tmp_path)
    second = carry_out(spec)
    (entry,) = (entry for entry in second.entries if entry.stage == "embeddings")
    assert entry.damaged == (shard,)
    assert entry.prior_evaluations == 2 * len(PROMPTS)
    assert second.account.books.executed == 0
    assert second.compiled.document.id == first.compiled.document.id


def test_altered_conditioning_is_computed_again_by_the_run_that_needs_it(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    latents = first.latents()
    (shard,) = first.stage.store.files.list("conditioning")
    flip_a_bit(Path(first.stage.store.files.url(shard)), tmp_path)
    assert [entry for entry in carry_out(spec).entries if entry.stage == "embeddings"] == []
    forget_images(first)
    shutil.rmtree(first.stage.store.files.url("states"))
    second = carry_out(spec)
    (entry,) = (entry for entry in second.entries if entry.stage == "embeddings")
    assert entry.damaged == (shard,)
    assert entry.prior_evaluations == 2 * len(PROMPTS)
    assert_equal(second.latents(), latents)
    assert second.account.books.problems == ()


def test_altered_conditioning_of_a_retired_prompt_cannot_be_made_again(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    (shard,) = first.stage.store.files.list("conditioning")
    flip_a_bit(Path(first.stage.store.files.url(shard)), tmp_path)
    forget_images(first)
    for path in first.stage.store.files.list("states")[1:]:  # one says that the tree has run
        first.stage.store.files.delete(path)
    with pytest.raises(RunError, match=r"are lost or damaged.*--rebuild"):
        carry_out(document(tiny_learned, tmp_path, prompts=PROMPTS[1:]))


def test_a_killed_run_whose_entry_is_torn_unbalances_no_books(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    first.stage.store.files.write("ledger/open/dead.trunk.json", b"")
    for state in first.stage.store.files.list("states")[1:]:
        first.stage.store.files.delete(state)
    forget_images(first)
    books = carry_out(spec).account.books
    assert books.problems == ()
    assert books.illegible == ("ledger/open/dead.trunk.json",)


@pytest.mark.parametrize("lost", [1, len(PROMPTS)])
def test_an_image_whose_file_is_gone_is_not_called_current(tiny_learned: Path, tmp_path: Path, lost: int) -> None:
    run = carry_out(document(tiny_learned, tmp_path))
    for row in run.assembled.rows[:lost]:
        Path(run.stage.store.files.url(row.image_path)).unlink()
    found = assembled(run.stage, run.compiled, run.prompts)
    assert not found.complete
    assert found.current == len(PROMPTS) - lost
    assert [row.status for row in found.rows[:lost]] == ["pending"] * lost
    assert all("its file is gone" in row.error and not row.image_path for row in found.rows[:lost])
    assert carry_out(document(tiny_learned, tmp_path)).assembled.complete


def test_an_image_made_again_keeps_what_was_paid_for_it_and_who_made_it(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    before = _paid_and_made(first)
    for path in first.stage.store.files.list("images"):
        first.stage.store.files.delete(path)

    second = carry_out(spec)
    assert second.account.books.executed == 0
    assert _paid_and_made(second) == before
    assert sum(paid for paid, _, _ in before.values()) == pytest.approx(first.account.books.executed)


def _paid_and_made(run: Run) -> dict[str, tuple[float, str, str]]:
    return {r.prompt_id: (r.evaluations_paid, r.run_id, r.image_sha256) for r in run.assembled.rows}
