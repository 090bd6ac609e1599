"""What nothing live needs goes, whatever lives stays, wherever the deleting breaks off."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from hierflow.errors import InputError
from hierflow.hashing import bytes_digest
from hierflow.prompts import load_prompts
from hierflow.spec import ImageSetSpec, ScoringSpec, SharingSpec
from hierflow.stages.keeping.pruning import Waste, find_waste, remove
from hierflow.stages.keeping.retention import retain
from hierflow.stages.making.todo import todo
from hierflow.stages.quality.baselines import measure
from hierflow.stages.quality.pilot import load_pilot
from hierflow.stages.reports.image_set import assemble, assembled
from hierflow.store.storage import Storage
from hierflow_tests.stages.runs import PROMPTS, Run, assert_equal, carried_out, planned, spec_of, stage_of

EDITED = [*PROMPTS[:4], "a green sofa"]


def document(model: Path, storage: Path, prompts: list[str] | None = None, **more: Any) -> ImageSetSpec:
    sharing = {"tau": 0.5, "checkpoint_every": 2, **more.pop("sharing", {})}
    more.setdefault("max_prompts", 4)
    return spec_of(model, prompts=prompts, storage=storage, sharing=sharing, **more)


def run_of(spec: ImageSetSpec) -> Run:
    """A run as both fronts do it, with the prompts stored first."""
    stage = stage_of(spec)
    stage.store.prompts.save(load_prompts(spec.prompts, stage.base))
    return carried_out(stage)


def made(model: Path, storage: Path) -> Run:
    """A set that was made, then edited and made again."""
    for prompts in (PROMPTS, EDITED):
        run = run_of(document(model, storage, prompts))
        retain(run.stage, run.compiled)
    return run


def counts(waste: Waste) -> dict[str, int]:
    return {kind: len(files) for kind, files in waste.files.items() if files}


def digests(storage: Storage, *but: str) -> dict[str, str]:
    """Every file's checksum, those below the folders `but` left out."""
    return {path: bytes_digest(storage.read(path)) for path in storage.sizes() if path.split("/")[0] not in but}


def test_a_set_that_was_never_edited_has_nothing_to_prune(tiny_learned: Path, tmp_path: Path) -> None:
    run = run_of(document(tiny_learned, tmp_path))
    waste = find_waste(run.stage)
    assert (counts(waste), waste.keys) == ({}, ())


def test_a_set_that_was_never_run_is_refused(tiny_learned: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has not been run yet, so there is nothing to prune; run it first"):
        find_waste(stage_of(document(tiny_learned, tmp_path)))


def test_what_was_of_retired_prompts_goes(tiny_learned: Path, tmp_path: Path) -> None:
    run = made(tiny_learned, tmp_path)
    files, before = run.stage.store.files, digests(run.stage.store.files)
    waste = find_waste(run.stage)
    found = counts(waste)
    assert (found["images"], found["plans"], found["trees"], found["prompt sets"]) == (2, 1, 1, 1)
    assert found["records"] >= 1
    assert found["states"] >= 2
    assert "conditioning" not in found  # means are made of the retired prompts', too
    assert digests(files) == before  # looking deletes nothing
    remove(run.stage, waste)
    gone = {path for paths in waste.files.values() for path in paths}
    assert digests(files) == {path: sha256 for path, sha256 in before.items() if path not in gone}
    assert counts(find_waste(run.stage)) == {}


def test_after_it_a_run_evaluates_nothing_and_every_byte_is_as_before(tiny_learned: Path, tmp_path: Path) -> None:
    run = made(tiny_learned, tmp_path)
    remove(run.stage, find_waste(run.stage))
    before = digests(run.stage.store.files)
    again = run_of(run.stage.spec)
    assert (again.ran, again.account.books.executed, again.entries) == ([], 0, [])
    pages = {"gallery.html", "history.html", "history.parquet", "current.json"}  # they tell of the last run
    after = digests(again.stage.store.files)
    assert {path: sha256 for path, sha256 in after.items() if path not in pages} == {
        path: sha256 for path, sha256 in before.items() if path not in pages
    }


def test_after_it_prompts_are_grafted_as_without_it(tiny_learned: Path, tmp_path: Path) -> None:
    grown = [*EDITED, "a blue sofa", PROMPTS[4]]
    runs = []
    for folder in ("pruned", "whole"):
        run = made(tiny_learned, tmp_path / folder)
        if folder == "pruned":
            remove(run.stage, find_waste(run.stage))
        runs.append(run_of(document(tiny_learned, tmp_path / folder, grown)))
    assert runs[0].compiled.document.tree == runs[1].compiled.document.tree
    assert_equal(runs[0].pixels(), runs[1].pixels())
    books, whole = runs[0].account.books, runs[1].account.books
    assert (books.problems, whole.problems) == ((), ())
    # The prompt that came back is made anew; it was retired, and its states are gone.
    assert whole.executed < books.executed <= whole.executed + runs[0].compiled.plan.steps * 2


def test_broken_off_anywhere_the_set_is_whole_and_the_rest_can_go(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies after every single deletion, again and again, until nothing is left to delete."""
    run = made(tiny_learned, tmp_path)
    pixels, total, delete = run.pixels(), sum(counts(find_waste(run.stage)).values()), Storage.delete
    deleted = list[str]()

    def die_after_one(self: Storage, path: str) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(path)
        delete(self, path)

    monkeypatch.setattr(Storage, "delete", die_after_one)
    stage = stage_of(run.stage.spec)
    for left in range(total - 1, 0, -1):
        with pytest.raises(KeyboardInterrupt):
            remove(stage, find_waste(stage))
        deleted.clear()
        compiled = stage.store.plans.current()
        assert compiled is not None
        assert todo(stage.store, compiled) == []
        assert assembled(stage, compiled, run.prompts).complete
        assert_equal(run.pixels(), pixels)
        assert sum(counts(find_waste(stage)).values()) == left
    remove(stage, find_waste(stage))
    monkeypatch.undo()
    assert counts(find_waste(stage)) == {}
    assert run_of(run.stage.spec).account.books.executed == 0


def test_another_set_in_the_same_store_is_not_touched(tiny_learned: Path, tmp_path: Path) -> None:
    run = made(tiny_learned, tmp_path)
    spec = document(tiny_learned, tmp_path, EDITED)
    other = run_of(spec.model_copy(update={"name": "other"}))
    before = digests(other.stage.store.files)
    remove(run.stage, find_waste(run.stage))
    assert digests(other.stage.store.files) == before
    assert counts(find_waste(other.stage)) == {}


def test_the_last_good_image_of_a_prompt_that_is_not_made_yet_stays(tiny_learned: Path, tmp_path: Path) -> None:
    """As after a run that was killed: the plan is new, and nothing has been made of it."""
    table = tmp_path / "prompts.csv"
    table.write_text("sku,prompt\nA,a red mug\nB,a blue mug\nC,two green cats\n", "utf-8")
    source = {"table": str(table), "id_column": "sku"}
    spec = document(tiny_learned, tmp_path).model_copy(
        update={"prompts": document(tiny_learned, tmp_path).prompts.model_validate(source)}
    )
    run_of(spec)
    table.write_text("sku,prompt\nA,a red mug\nB,a lamp\nC,two green cats\n", "utf-8")
    stage = stage_of(spec)
    stage.store.prompts.save(load_prompts(spec.prompts, stage.base))
    compiled, prompts = planned(stage)
    shown = assemble(stage, compiled, prompts)
    assert [row.status for row in shown.rows].count("outdated") >= 1
    before = [(row.status, row.image_sha256) for row in shown.rows]
    remove(stage, find_waste(stage))
    assert [(row.status, row.image_sha256) for row in assembled(stage, compiled, prompts).rows] == before
    finished = run_of(spec)
    books = finished.account.books
    lamp = compiled.plan.path(compiled.planted.leaf_of[prompts.hashes[1]])
    # The others' images were there all along, and their states.
    assert books.executed <= sum(int(compiled.plan.last[s] - compiled.plan.first[s]) + 1 for s in lamp)
    assert [row.image_sha256 for row in finished.assembled.rows][::2] == [sha for _, sha in before][::2]


def test_prompts_that_are_not_planned_yet_stay(tiny_learned: Path, tmp_path: Path) -> None:
    run = made(tiny_learned, tmp_path)
    later = load_prompts(document(tiny_learned, tmp_path, ["a lamp"]).prompts, tmp_path)
    run.stage.store.prompts.save(run.prompts)
    run.stage.store.prompts.save(later)
    remove(run.stage, find_waste(run.stage))
    assert run.stage.store.prompts.current().content_hash == later.content_hash
    assert run.stage.store.prompts.load(run.prompts.content_hash).texts == run.prompts.texts


def test_unfinished_writes_go_and_files_of_others_stay(tiny_learned: Path, tmp_path: Path) -> None:
    run = made(tiny_learned, tmp_path)
    remove(run.stage, find_waste(run.stage))
    folder = Path(run.stage.store.files.url())
    state = next((folder / "states").rglob("*.safetensors"))
    draft, going_on = (state.with_name(f".{state.name}.{digit * 32}") for digit in "01")
    own = [folder / "images" / "poster.png", folder / "states" / "notes.txt", folder / ".hidden", folder / "README"]
    for path in (draft, going_on, *own):
        path.write_bytes(b"something")
    an_hour_ago = time.time() - 3601
    os.utime(draft, (an_hour_ago, an_hour_ago))
    waste = find_waste(run.stage)
    assert counts(waste) == {"unfinished writes": 1}
    remove(run.stage, waste)
    assert not draft.exists()
    assert going_on.exists()
    assert all(path.read_bytes() == b"something" for path in own)


def test_conditioning_of_texts_that_no_tree_holds_goes(tiny_learned: Path, tmp_path: Path) -> None:
    sharing = {"tree": "fresh"}
    run_of(document(tiny_learned, tmp_path, PROMPTS, sharing=sharing))
    run = run_of(document(tiny_learned, tmp_path, ["a lamp", "a sofa"], sharing=sharing))
    waste = find_waste(run.stage)
    assert counts(waste)["conditioning"] == 2  # and what the tree clustered by
    assert waste.keys == run.compiled.document.tombstones != ()
    remove(run.stage, waste)
    assert run_of(run.stage.spec).entries == []


def test_keys_of_empty_partitions_of_this_tree_are_kept(tiny_learned: Path, tmp_path: Path) -> None:
    run_of(document(tiny_learned, tmp_path, PROMPTS, max_prompts=1))
    run = run_of(document(tiny_learned, tmp_path, PROMPTS[:2], max_prompts=1))
    assert run.compiled.document.dormant
    assert run.compiled.document.tombstones
    assert find_waste(run.stage).keys == ()


def test_baselines_of_the_present_policy_stay_and_of_another_go(tiny_learned: Path, tmp_path: Path) -> None:
    pairs = []
    for tau in (0.5, 0.2):
        spec = document(tiny_learned, tmp_path, sharing={"tau": tau})
        run = run_of(spec.model_copy(update={"scoring": ScoringSpec(baseline_sample=4)}))
        pairs.append(measure(run.stage, run.compiled, run.prompts, run.assembled.rows))
    shuffled = [{pair.images["shuffled"].path for pair in own} for own in pairs]
    waste = find_waste(run.stage)
    assert set(waste.files["baselines"]) == shuffled[0] - shuffled[1]  # the other arms do not depend on tau
    remove(run.stage, waste)
    assert measure(run.stage, run.compiled, run.prompts, run.assembled.rows) == pairs[1]
    assert counts(find_waste(run.stage)) == {}


def test_the_pilot_of_the_plan_stays_and_an_earlier_one_goes(tiny_learned: Path, tmp_path: Path) -> None:
    names = []
    for loss in (1e-9, 2.0):
        sharing = SharingSpec.model_validate({"quality": {"metric": "clip", "max_loss": loss, "sample": 16}})
        run = run_of(document(tiny_learned, tmp_path).model_copy(update={"sharing": sharing}))
        names.append(run.compiled.document.pilot)
    waste = find_waste(run.stage)
    assert set(waste.files["pilots"]) == {f"pilots/{names[0]}.json"}
    remove(run.stage, waste)
    assert load_pilot(run.stage, names[1]) is not None
