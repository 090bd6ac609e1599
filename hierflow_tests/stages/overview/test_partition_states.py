"""What status says of each partition: the five conditions, and how one becomes another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import load_prompts
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.making.images import make_partition
from hierflow.stages.overview.partition_states import PartitionState, condition_counts, partition_states
from hierflow.stages.reports.image_set import assembled
from hierflow_tests.stages.runs import PROMPTS, carry_out, planned, spec_of, stage_of

FOUR = PROMPTS[:4]


def document(model: Path, storage: Path, prompts: list[str] | None = None) -> ImageSetSpec:
    return spec_of(model, prompts=prompts or FOUR, storage=storage, max_prompts=2, sharing={"tau": 0.3})


def current(stage: Stage) -> CompiledPlan:
    compiled = stage.store.plans.current()
    assert compiled is not None
    return compiled


def states_of(spec: ImageSetSpec) -> dict[str, PartitionState]:
    stage = stage_of(spec)
    compiled, prompts = current(stage), load_prompts(spec.prompts, stage.base)
    stage.store.prompts.save(prompts)
    states = partition_states(stage, compiled, assembled(stage, compiled, prompts).rows, stage.store.ledger.entries())
    assert [state.key for state in states] == compiled.document.keys
    return {state.key: state for state in states}


def conditions(spec: ImageSetSpec) -> list[str]:
    return [state.condition for state in states_of(spec).values()]


def key_of(spec: ImageSetSpec, prompt: str) -> str:
    stage = stage_of(spec)
    prompts = load_prompts(spec.prompts, stage.base)
    return current(stage).partition_of_text()[prompts.hashes[prompts.distinct.index(prompt)]]


def attempt(spec: ImageSetSpec, key: str) -> None:
    """A run of one partition by the current plan."""
    stage = stage_of(spec)
    make_partition(stage, current(stage), load_prompts(spec.prompts, stage.base), key)


def test_a_plan_of_which_nothing_is_made_is_missing_and_then_fresh(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    planned(stage_of(spec))
    for state in states_of(spec).values():
        assert (state.condition, state.goes_on) == ("missing", "the next run makes it")
        assert len(state.prompts) in (1, 2)
    carry_out(spec)
    assert set(conditions(spec)) == {"fresh"}
    assert all(not state.prompts and not state.cause for state in states_of(spec).values())


def test_an_edit_makes_its_partition_stale_and_names_the_prompt(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(document(tiny_learned, tmp_path))
    spec = document(tiny_learned, tmp_path, ["a red mug of tea", *FOUR[1:]])
    planned(stage_of(spec))
    found = {key: state for key, state in states_of(spec).items() if state.condition != "fresh"}
    named = [prompt for state in found.values() for prompt in state.prompts]
    assert named == ["a red mug of tea"]
    carry_out(spec)
    assert set(conditions(spec)) == {"fresh"}


def test_a_partition_that_a_prompt_has_left_has_nothing_to_make(tiny_learned: Path, tmp_path: Path) -> None:
    first = document(tiny_learned, tmp_path)
    carry_out(first)
    by_key: dict[str, list[str]] = {}
    for prompt in FOUR:
        by_key.setdefault(key_of(first, prompt), []).append(prompt)
    key, (gone, _) = next((key, prompts) for key, prompts in by_key.items() if len(prompts) == 2)
    spec = document(tiny_learned, tmp_path, [prompt for prompt in FOUR if prompt != gone])
    planned(stage_of(spec))
    state = states_of(spec)[key]
    assert (state.condition, state.prompts, state.cause) == ("stale", (), "its images are there, its record is not")


def test_a_lost_image_makes_its_partition_stale(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path)
    run = carry_out(spec)
    row = run.assembled.rows[2]
    Path(run.stage.store.files.url(row.image_path)).unlink()
    state = states_of(spec)[row.partition]
    assert (state.condition, state.prompts) == ("stale", (row.prompt,))
    assert sorted(conditions(spec))[:-1] == ["fresh"] * (len(conditions(spec)) - 1)


def test_a_failure_is_told_with_its_cause_and_after_two_it_waits(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    planned(stage_of(spec))
    key = key_of(spec, "xyz 99") if "xyz 99" in FOUR else key_of(spec, FOUR[0])

    def refuse(self: Kandinsky22, *arguments: Any) -> Any:
        raise RuntimeError("the card has left")

    monkeypatch.setattr(Kandinsky22, "predict", refuse)
    for condition in ("failed", "waiting"):
        with pytest.raises(RuntimeError, match="the card has left"):
            attempt(spec, key)
        state = states_of(spec)[key]
        assert (state.condition, state.cause) == (condition, "RuntimeError: the card has left")
        assert state.prompts
    assert "`hierflow run`" in state.goes_on
    assert "the job tests" in state.goes_on
    assert conditions(spec).count("missing") == len(conditions(spec)) - 1
    counts = condition_counts(list(states_of(spec).values()))
    assert counts == {"missing": len(conditions(spec)) - 1, "waiting": 1}
    monkeypatch.undo()
    attempt(spec, key)
    assert states_of(spec)[key].condition == "fresh"


def test_a_prompt_that_fails_alone_is_named_alone(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    planned(stage_of(spec))
    key = next(key for key in current(stage_of(spec)).document.keys if len(states_of(spec)[key].prompts) == 2)
    good = "hierflow.stages.making.decoding.final_latents"
    calls: list[str] = []

    def spoil_the_first(stage: Stage, denoised: Any, state: str) -> Any:
        calls.append(state)
        return "the latents are not finite" if len(calls) == 1 else denoised.states[state]

    monkeypatch.setattr(good, spoil_the_first)
    attempt(spec, key)
    state = states_of(spec)[key]
    assert (state.condition, len(state.prompts), state.cause) == ("failed", 1, "the latents are not finite")


def test_failures_of_another_plan_do_not_count(
    tiny_learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = document(tiny_learned, tmp_path)
    planned(stage_of(spec))
    key = key_of(spec, FOUR[0])
    monkeypatch.setattr(Kandinsky22, "predict", lambda *arguments: pytest.fail("broken"))
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception):
            attempt(spec, key)
    assert states_of(spec)[key].condition == "waiting"
    edited = document(tiny_learned, tmp_path, [*FOUR, "another"])
    planned(stage_of(edited))
    assert set(conditions(edited)) == {"missing"}
