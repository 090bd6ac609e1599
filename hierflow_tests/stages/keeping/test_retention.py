"""What a complete set keeps of its states, and what that costs whoever needs the others later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.keeping.retention import Dropped, passed_over, retain
from hierflow.stages.making.images import make_partition
from hierflow_tests.stages.runs import PROMPTS, Run, assert_equal, carried_out, carry_out, planned, spec_of, stage_of


def document(model: Path, storage: Path, keep: str = "branch_points", **more: Any) -> ImageSetSpec:
    sharing = {"tau": 0.5, "checkpoint_every": 1, **more.pop("sharing", {})}
    spec = spec_of(model, storage=storage, sharing=sharing, **more)
    return spec.model_copy(update={"storage": spec.storage.model_copy(update={"keep": keep})})


def retained(run: Run) -> Dropped:
    return retain(run.stage, run.compiled)


def stored(stage: Stage) -> set[str]:
    return set(stage.store.states.sizes())


def test_branch_points_keeps_the_ends_of_segments_and_what_prompts_share(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(document(tiny_learned, tmp_path))
    before, plan, ids = stored(run.stage), run.compiled.plan, run.compiled.lanes[0].ids
    dropped = retained(run)
    after = stored(run.stage)
    lone = {segment for segment in range(len(plan.nodes)) if plan.sizes[segment] == 1}
    inside = {
        ids.at(segment, step) for segment in lone for step in range(int(plan.first[segment]), int(plan.last[segment]))
    }
    assert inside
    assert lone != set(range(len(plan.nodes)))  # something is shared
    assert before - after == inside
    assert dropped.states == len(inside)
    assert dropped.bytes > 100 * len(inside)
    assert {ids.end(segment) for segment in range(len(plan.nodes))} <= after


def test_all_keeps_all_and_none_keeps_none(tiny_learned: Path, tmp_path: Path) -> None:
    run = carry_out(document(tiny_learned, tmp_path / "all", "all"))
    before = stored(run.stage)
    assert retained(run) == Dropped()
    assert stored(run.stage) == before
    run = carry_out(document(tiny_learned, tmp_path / "none", "none", sharing={"tree": "fresh"}))
    assert retained(run).states == len(before)
    assert stored(run.stage) == set()
    again = carry_out(run.stage.spec)
    assert (again.ran, again.account.books.executed) == ([], 0)


def test_it_looks_again_only_once_a_partition_has_been_run(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    run = carry_out(spec)
    assert retained(run).states > 0
    monkeypatch.setattr(
        "hierflow.stages.keeping.retention.passed_over", lambda compiled: pytest.fail("it looked again")
    )
    assert retained(carry_out(spec)) == Dropped()
    monkeypatch.undo()
    edited = carry_out(document(tiny_learned, tmp_path, prompts=[*PROMPTS, "a red stool"]))
    assert retained(edited).states > 0


def test_what_goes_lies_on_the_paths_of_the_lane_that_has_it(tiny_learned: Path, tmp_path: Path) -> None:
    """A seed a row: naming the whole tree's states in every lane would be quadratic."""
    rows = [f"{prompt},{seed}" for seed, prompt in enumerate(PROMPTS)]
    (tmp_path / "seeds.csv").write_text("\n".join(["prompt,seed", *rows]))
    spec = document(tiny_learned, tmp_path, prompts={"table": str(tmp_path / "seeds.csv")})
    compiled, _ = planned(stage_of(spec))
    going = passed_over(compiled)
    assert len(compiled.lanes) == len(PROMPTS)
    assert all(going & set(lane.states) for lane in compiled.lanes)
    assert going <= {state for lane in compiled.lanes for state in lane.states}


def test_states_of_retired_prompts_and_shared_with_them_stay(tiny_learned: Path, tmp_path: Path) -> None:
    first = carry_out(document(tiny_learned, tmp_path))
    retained(first)
    before, plan, ids = stored(first.stage), first.compiled.plan, first.compiled.lanes[0].ids
    left = carry_out(document(tiny_learned, tmp_path, prompts=PROMPTS[:1]))
    retained(left)
    assert left.compiled.plan.leaves == 1
    assert stored(left.stage) == before
    assert not passed_over(left.compiled) & {ids.end(segment) for segment in range(len(plan.nodes))}


def test_after_it_a_new_decoder_denoises_nothing(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    first = carry_out(spec)
    retained(first)
    stage = stage_of(spec)
    stage.adapter.decoder_fingerprint = "e" * 64
    second = carried_out(stage)
    assert second.compiled.document.id != first.compiled.document.id
    assert second.account.books.executed == 0
    assert {row.image_path.split("/")[1] for row in second.assembled.rows} == {"e" * 8}
    assert_equal(second.pixels(), first.pixels())


def test_after_it_a_graft_starts_from_a_state_that_stayed(tiny_learned: Path, tmp_path: Path) -> None:
    """Compared with keeping everything: the same images, and what is replayed is at most one stretch alone."""
    prompts, books, pixels = [*PROMPTS, "a red stool", "a blue mug on a chair"], [], []
    for keep in ("all", "branch_points"):
        retained(carry_out(document(tiny_learned, tmp_path / keep, keep)))
        run = carry_out(document(tiny_learned, tmp_path / keep, keep, prompts=prompts))
        assert run.account.books.problems == ()
        books.append(run.account.books)
        pixels.append(run.pixels())
    assert_equal(*pixels)
    assert books[0].executed <= books[1].executed < books[0].executed + 2 * run.compiled.plan.steps


def test_a_run_that_is_killed_after_it_goes_on_from_its_checkpoints(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retained(carry_out(document(tiny_learned, tmp_path)))
    spec = document(tiny_learned, tmp_path, prompts=[*PROMPTS, "quite another thing"])
    undisturbed = carry_out(document(tiny_learned, tmp_path / "calm"))
    assert undisturbed.assembled.complete
    undisturbed = carry_out(document(tiny_learned, tmp_path / "calm", prompts=[*PROMPTS, "quite another thing"]))

    stage = stage_of(spec)
    compiled, prompts = planned(stage)
    leaf = compiled.planted.leaf_of[prompts.hashes[prompts.distinct.index("quite another thing")]]
    key = compiled.partition_of_text()[compiled.planted.texts[leaf]]
    predict, calls = Kandinsky22.predict, []

    def die(self: Kandinsky22, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return predict(self, *arguments)

    monkeypatch.setattr(Kandinsky22, "predict", die)
    with pytest.raises(KeyboardInterrupt):
        make_partition(stage, compiled, prompts, key)
    monkeypatch.undo()
    resumed = carry_out(spec)
    assert_equal(resumed.pixels(), undisturbed.pixels())
    # Three of its steps were stored; the fourth, which broke off, is all that is lost.
    assert resumed.account.books.executed == undisturbed.account.books.executed - 3
    assert resumed.account.books.problems == ()
