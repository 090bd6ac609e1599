"""A set that has run and is edited: what changes is paid for, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hierflow.hashing import text_hash
from hierflow.models.loaded import LoadedModel
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.planning.make_plan import WHOLE
from hierflow_tests.no_work import refuse_work
from hierflow_tests.stages.runs import PROMPTS, STEPS, Run, assert_equal, carry_out, spec_of, stage_of

Refuse = Callable[[], None]

EARLY, LATE, NOISE = "zebra", "a red cup", "a green mug"
"""New prompts: with the others they share three steps of six, with a replay; all but the last; none."""


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """From when it is called, a model that loads, encodes, denoises or decodes fails the test."""

    def refuse(*_: object, **named: object) -> None:
        raise AssertionError("the model was put to work")

    def apply() -> None:
        monkeypatch.setattr(LoadedModel, "_load", refuse)
        refuse_work(monkeypatch)

    return apply


def files_of(run: Run) -> dict[str, bytes]:
    """The image of each prompt, as it lies in the store."""
    return {row.prompt: run.stage.store.files.read(row.image_path) for row in run.assembled.rows}


def assert_kept(after: Run, before: Run) -> None:
    """Whoever is in both sets has the same image, to the byte, and the books balance."""
    assert after.assembled.complete
    assert after.account.books.problems == ()
    old, new = files_of(before), files_of(after)
    kept = old.keys() & new.keys()
    assert kept
    assert {prompt: new[prompt] for prompt in kept} == {prompt: old[prompt] for prompt in kept}


def own_price(after: Run, stored: set[str], prompt: str) -> int:
    """The steps from the nearest of the `stored` states on the prompt's path to its end."""
    compiled, ids = after.compiled, after.compiled.lanes[0].ids
    path = compiled.plan.path(compiled.leaf_of[text_hash(prompt)])
    reached = [
        step
        for segment in path
        for step in range(int(compiled.plan.first[segment]), int(compiled.plan.last[segment]) + 1)
        if ids.at(segment, step) in stored
    ]
    return STEPS - max(reached, default=0)


def stored_states(run: Run) -> set[str]:
    return {path[-76:-12] for path in run.stage.store.files.list("states")}


@pytest.mark.parametrize("checkpoint_every", [0, 1])
@pytest.mark.parametrize(("new", "own"), [(EARLY, 3), (LATE, 1), (NOISE, 6)])
def test_a_changed_prompt_costs_its_own_steps_and_the_replay_and_changes_no_other_image(
    tiny_learned: Path, tmp_path: Path, new: str, own: int, checkpoint_every: int
) -> None:
    settings = {"storage": tmp_path, "sharing": {"tau": 1.0, "checkpoint_every": checkpoint_every}}
    before = carry_out(spec_of(tiny_learned, **settings))
    stored = stored_states(before)
    after = carry_out(spec_of(tiny_learned, prompts=[*PROMPTS[1:], new], **settings))
    assert_kept(after, before)
    books = after.account.books
    assert books.executed == own_price(after, stored, new)
    assert books.executed - books.replayed == books.planned - books.reused == own
    if checkpoint_every or new == NOISE:
        assert books.replayed == 0
    if new == EARLY and not checkpoint_every:
        assert books.replayed == 1


@pytest.mark.parametrize("settings", [{"max_prompts": 2}, {"sharing": {"tau": 100.0}, "max_prompts": 2}], ids=str)
def test_so_it_is_over_many_partitions_with_and_without_a_trunk(
    tiny_learned: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    before = carry_out(spec_of(tiny_learned, storage=tmp_path, **settings))
    prompts = [*PROMPTS, EARLY, LATE, NOISE, "a green chair"]
    after = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=prompts, **settings))
    assert_kept(after, before)
    assert set(before.compiled.document.keys) < set(after.compiled.document.keys)
    assert 0 < after.account.books.executed - after.account.books.replayed < 4 * STEPS


def test_every_image_of_a_prompt_is_kept(tiny_learned: Path, tmp_path: Path) -> None:
    before = carry_out(spec_of(tiny_learned, storage=tmp_path, images_per_prompt=2))
    after = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=[*PROMPTS[1:], EARLY], images_per_prompt=2))
    assert after.account.books.problems == ()
    assert after.account.books.planned - after.account.books.reused == 2 * 3
    old, new = before.pixels(), after.pixels()
    kept = old.keys() & new.keys()
    assert len(kept) == 10
    assert_equal({key: new[key] for key in kept}, {key: old[key] for key in kept})


@pytest.mark.parametrize(("lost", "price"), [(1, STEPS), (3, 3 * STEPS), (5, None)])
def test_lost_images_cost_what_a_plan_says_of_them_alone(
    tiny_learned: Path, tmp_path: Path, lost: int, price: int | None
) -> None:
    """Each of the first four is another image of one prompt, so they share nothing."""
    spec = spec_of(tiny_learned, storage=tmp_path, images_per_prompt=4, max_prompts=2, sharing={"tau": 100.0})
    first = carry_out(spec)
    assert first.compiled.evaluations_of(None) > 0
    for path in [*first.stage.store.files.list("states"), *(row.image_path for row in first.assembled.rows[:lost])]:
        first.stage.store.files.delete(path)
    expected = look_ahead(stage_of(spec)).evaluations
    again = carry_out(spec)
    assert again.account.books.executed == expected == (price or expected)
    assert again.account.books.problems == ()
    assert_equal(again.pixels(), first.pixels())
    paid = sum(row.evaluations_paid for row in again.assembled.rows)
    assert paid == pytest.approx(first.account.books.executed + expected)


def test_the_run_after_an_edit_does_nothing(tiny_learned: Path, tmp_path: Path, no_work: Refuse) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    prompts = [*PROMPTS[1:], EARLY]
    edited = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=prompts))
    no_work()
    for order in (prompts, prompts[::-1]):
        again = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=order))
        assert again.ran == []
        assert again.account.books.executed == 0
        assert_kept(again, edited)


def test_a_prompt_that_is_removed_loads_no_model_and_its_partition_is_recorded_anew(
    tiny_learned: Path, tmp_path: Path, no_work: Refuse
) -> None:
    before = carry_out(spec_of(tiny_learned, storage=tmp_path))
    no_work()
    after = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=PROMPTS[1:]))
    assert after.ran == before.compiled.document.keys
    assert after.account.books.executed == 0
    assert after.account.books.planned < before.account.books.planned
    assert_kept(after, before)
    record = after.stage.store.records.load(after.compiled.document.partitions[0].slice)
    assert record is not None
    assert (record.run, record.executed, len(record.images)) == (after.stage.run, 0, 5)
    assert sum(row.evaluations for row in after.assembled.rows) == pytest.approx(after.account.books.planned)


def test_a_prompt_that_comes_back_costs_nothing_and_has_its_image_again(
    tiny_learned: Path, tmp_path: Path, no_work: Refuse
) -> None:
    before = carry_out(spec_of(tiny_learned, storage=tmp_path))
    carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=[*PROMPTS[2:], LATE]))
    no_work()
    back = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=PROMPTS))
    assert back.account.books.executed == 0
    assert_kept(back, before)
    assert len(files_of(back)) == len(PROMPTS)


def test_another_tau_founds_a_fresh_tree(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    prompts = [*PROMPTS[1:], EARLY]
    carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=prompts))
    settings = {"prompts": prompts, "sharing": {"tau": 0.9}}
    after = carry_out(spec_of(tiny_learned, storage=tmp_path, **settings))
    assert after.account.books.problems == ()
    assert_equal(after.latents(), carry_out(spec_of(tiny_learned, **settings)).latents())


@pytest.mark.parametrize("rebuild", [False, True])
def test_a_tree_that_is_founded_anew_is_that_of_the_prompts_alone(
    tiny_learned: Path, tmp_path: Path, rebuild: bool
) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    settings = {"prompts": [*PROMPTS[1:], EARLY], "sharing": {"tree": "pinned" if rebuild else "fresh"}}
    after = carry_out(spec_of(tiny_learned, storage=tmp_path, **settings), rebuild=WHOLE if rebuild else "")
    assert after.account.books.problems == ()
    fresh = carry_out(spec_of(tiny_learned, **settings))
    assert after.compiled.planted.id == fresh.compiled.planted.id
    assert_equal(after.latents(), fresh.latents())


def test_rebuilding_a_partition_changes_its_images_alone(tiny_learned: Path, tmp_path: Path) -> None:
    settings = {"storage": tmp_path, "max_prompts": 4}
    carry_out(spec_of(tiny_learned, **settings))
    prompts = [*PROMPTS[1:], LATE]
    before = carry_out(spec_of(tiny_learned, prompts=prompts, **settings))
    key = next(key for key in before.compiled.document.keys if text_hash(LATE) in before.compiled.texts_of(key))
    inside = {text for text in prompts if text_hash(text) in before.compiled.texts_of(key)}
    after = carry_out(spec_of(tiny_learned, prompts=prompts, **settings), rebuild=key)
    assert after.account.books.problems == ()
    old, new = files_of(before), files_of(after)
    changed = {prompt for prompt in prompts if old[prompt] != new[prompt]}
    assert changed
    assert changed <= inside < set(prompts)


def test_a_plan_is_read_back_as_it_was_stored(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    after = carry_out(spec_of(tiny_learned, storage=tmp_path, prompts=[*PROMPTS[1:], EARLY, NOISE]))
    stored = after.stage.store.plans.current()
    assert stored is not None
    assert (stored.document, stored.planted.id) == (after.compiled.document, after.compiled.planted.id)
    assert stored.node_owner.tolist() == after.compiled.node_owner.tolist()
    assert stored.leaf_of == after.compiled.leaf_of
