"""An image that is as planned is current, whatever has become of the run that was to note it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hierflow.spec import ImageSetSpec
from hierflow.stages.keeping.pruning import find_waste, remove
from hierflow.stages.making.images import make_partition
from hierflow.stages.making.latents import denoise_trunk
from hierflow.stages.making.todo import todo
from hierflow.stages.making.wanted import images_made, unmade
from hierflow.stages.overview.partition_states import partition_states
from hierflow.stages.overview.summary import status_of
from hierflow.stages.reports.image_set import AssembledSet, assembled
from hierflow.store.records import PartitionRecord
from hierflow.store.storage import Storage
from hierflow_tests.stages.runs import Run, carry_out, planned, spec_of, stage_of

TEXTS = {
    **{"A": "a red mug", "B": "a blue mug", "C": "a green mug"},
    **{"D": "two green cats", "E": "two red cats", "F": "two blue cats"},
}


def document(model: Path, folder: Path, texts: Mapping[str, str] = TEXTS, **more: Any) -> ImageSetSpec:
    """A set of partitions of a few prompts, of a table with ids that survive edits."""
    (folder / "prompts.csv").write_text("sku,prompt\n" + "".join(f"{i},{text}\n" for i, text in texts.items()))
    source = {"table": str(folder / "prompts.csv"), "id_column": "sku"}
    return spec_of(model, prompts=source, storage=folder, max_prompts=4, sharing={"tau": 0.3}, **more)


def one_of_each(run: Run) -> list[str]:
    """A prompt id of each partition that has several."""
    by_key: dict[str, list[str]] = {}
    for row in run.assembled.rows:
        by_key.setdefault(row.partition, []).append(row.prompt_id)
    ids = [ids[0] for ids in by_key.values() if len(ids) > 1]
    assert len(ids) >= 2
    return ids


def broken_off(spec: ImageSetSpec, patch: pytest.MonkeyPatch) -> AssembledSet:
    """What is there after a run that could write no image."""
    stage, write = stage_of(spec), Storage.write
    compiled, prompts = planned(stage)
    keys = todo(stage.store, compiled)
    denoise_trunk(stage, compiled, prompts, keys)

    def refuse(self: Storage, path: str, data: bytes, **named: Any) -> None:
        if path.startswith("images/"):
            raise PermissionError(f"not permitted: {path}")
        write(self, path, data, **named)

    refused = []
    with patch.context() as patched:
        patched.setattr(Storage, "write", refuse)
        for key in keys:
            try:
                make_partition(stage, compiled, prompts, key)
            except PermissionError:
                refused.append(key)
    assert refused  # of other partitions it is the records alone that lack
    return assembled(stage, compiled, prompts)


def statuses(made: AssembledSet) -> dict[str, str]:
    return {row.prompt_id: row.status for row in made.rows}


def test_where_an_edited_prompt_fails_the_others_of_its_partition_stay_current(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carry_out(document(tiny_learned, tmp_path))
    edited = one_of_each(first)[:2]
    spec = document(tiny_learned, tmp_path, {**TEXTS, **{name: f"{TEXTS[name]} here" for name in edited}})
    made = broken_off(spec, monkeypatch)
    broken = {row.partition for row in made.rows if row.prompt_id in edited}
    assert {row.partition for row in made.rows if row.prompt_id not in edited} & broken
    assert statuses(made) == {name: "outdated" if name in edited else "current" for name in TEXTS}
    before = {row.prompt_id: row for row in first.assembled.rows}
    for row in made.rows:
        assert row.image_sha256 == before[row.prompt_id].image_sha256
        assert row.evaluations_paid == before[row.prompt_id].evaluations_paid
        assert ("PermissionError" in row.error) == (row.prompt_id in edited)
    found = status_of(stage_of(spec))
    assert (found["images"], found["wanted"], found["complete"]) == (4, 6, False)
    failed = [prompt for state in found["states"] if state["state"] == "failed" for prompt in state["such_as"]]
    assert sorted(failed) == sorted(f"{TEXTS[name]} here" for name in edited)
    finished = carry_out(spec)
    assert finished.assembled.complete
    assert finished.account.books.problems == ()


def test_what_the_set_has_and_what_a_run_would_make_are_the_same_question(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carry_out(document(tiny_learned, tmp_path))
    edited = one_of_each(first)
    spec = document(tiny_learned, tmp_path, {**TEXTS, edited[0]: "a lamp", edited[1]: "a sofa"})
    for made in (broken_off(spec, monkeypatch), broken_off(spec, monkeypatch)):
        stage = stage_of(spec)
        compiled, prompts = planned(stage)
        entries = stage.store.ledger.entries()
        missing = unmade(stage, compiled, prompts, compiled.document.keys, entries)
        wanted = {row.prompt_id for row in made.rows if row.status != "current"}
        assert {image.record.prompt_id for image in missing} == wanted
        states = partition_states(stage, compiled, made.rows, entries)
        assert {state.key for state in states if state.condition != "fresh"} == set(todo(stage.store, compiled))


def test_an_image_whose_file_is_gone_is_not_current_whatever_the_records_say(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = carry_out(document(tiny_learned, tmp_path))
    edited = one_of_each(first)[0]
    key = next(row.partition for row in first.assembled.rows if row.prompt_id == edited)
    lost = next(row for row in first.assembled.rows if row.prompt_id != edited and row.partition == key)
    first.stage.store.files.delete(lost.image_path)
    made = broken_off(document(tiny_learned, tmp_path, {**TEXTS, edited: "a lamp"}), monkeypatch)
    expected = {edited: "outdated", lost.prompt_id: "failed"}
    assert statuses(made) == {name: expected.get(name, "current") for name in TEXTS}


@pytest.mark.parametrize("what", ["decoder", "seed"])
def test_images_of_another_decoder_or_another_seed_are_not_current(
    tiny_learned: Path, tmp_path: Path, what: str
) -> None:
    carry_out(document(tiny_learned, tmp_path))
    stage = stage_of(document(tiny_learned, tmp_path, **({"seed": 7} if what == "seed" else {})))
    if what == "decoder":
        stage.adapter.decoder_fingerprint = "e" * 64  # type: ignore[misc]
    compiled, prompts = planned(stage)
    assert set(statuses(assembled(stage, compiled, prompts)).values()) == {"outdated"}


def pruned(spec: ImageSetSpec) -> tuple[int, AssembledSet]:
    """How many records pruning removes, and what is there after it."""
    stage = stage_of(spec)
    stage.store.prompts.save(planned(stage)[1])
    waste = find_waste(stage)
    remove(stage, waste)
    compiled, prompts = planned(stage)
    return len(waste.files["records"]), assembled(stage, compiled, prompts)


def test_pruning_keeps_what_tells_of_images_that_are_current(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = one_of_each(carry_out(document(tiny_learned, tmp_path)))[0]
    carry_out(document(tiny_learned, tmp_path, {**TEXTS, edited: "a sofa"}))
    spec = document(tiny_learned, tmp_path, {**TEXTS, edited: "a lamp"})
    made = broken_off(spec, monkeypatch)
    records, after = pruned(spec)
    assert records == 1  # what the first run told of the edited prompt's partition
    assert after.rows == made.rows


def test_pruning_keeps_the_only_record_of_an_image_that_is_wanted_again(tiny_learned: Path, tmp_path: Path) -> None:
    first = carry_out(document(tiny_learned, tmp_path))
    edited = one_of_each(first)[0]
    key = next(row.partition for row in first.assembled.rows if row.prompt_id == edited)
    other = next(row.prompt_id for row in first.assembled.rows if row.partition == key and row.prompt_id != edited)
    carry_out(document(tiny_learned, tmp_path, {**TEXTS, edited: "a sofa"}))
    back = document(tiny_learned, tmp_path, {**TEXTS, other: "a lamp"})
    _, after = pruned(back)
    assert statuses(after) == {name: "outdated" if name == other else "current" for name in TEXTS}


def test_scores_that_any_record_has_for_the_same_file_hold(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(document(tiny_learned, tmp_path))
    (name, version), *_ = run.compiled.document.scorers.items()
    record = run.stage.store.records_oldest_first(run.stage.store.ledger.entries())[0]

    def told(version: str, sha256: str = record.images[0].sha256, **scores: float) -> PartitionRecord:
        image = replace(record.images[0], scores=scores, sha256=sha256)
        return replace(record, images=(image,), scorers={name: version})

    def scores(*records: PartitionRecord) -> dict[str, float]:
        (image,) = images_made(run.compiled, records).values()
        return dict(image.scores)

    assert scores(told(version, **{name: 0.5}), told(version)) == {name: 0.5}
    assert scores(told(version, **{name: 0.5}), told(version, **{name: 0.7})) == {name: 0.7}
    assert scores(told("an older one", **{name: 0.5}), told(version)) == {}
    assert scores(told(version, **{name: 0.5}), told(version, sha256="0" * 64)) == {}
