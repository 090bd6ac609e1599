"""Groups of pairs: of one step of the tree as it stands, whatever it was when a pair was made."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.scoring.pair import SHARED, ArmImage, Pair
from hierflow.stages.quality.groups import ENOUGH, Groups, group_of
from hierflow_tests.stages.runs import carry_out, planned, spec_of, stage_of

FOUNDING = [f"a {color} {thing}" for color in ("red", "blue", "green", "pink") for thing in ("mug", "hat", "cat")]
NEW = ["xyz 99", "seven purple houses", "zebra", "a lamp of gold at night 44"]


def pair_of(compiled: CompiledPlan, prompt: str) -> Pair:
    (lane,) = compiled.lanes
    leaf = compiled.leaf_of[text_hash(prompt)]
    image = ArmImage(lane.ids.final(leaf), "", "", {})
    group = group_of(compiled.plan, lane, leaf)
    return Pair("policy", text_hash(prompt), "", prompt, "", {}, lane.variant.seed, group, {SHARED: image}, {})


def test_pairs_of_before_and_after_a_graft_are_grouped_at_one_step(tiny_learned: Path) -> None:
    storage = f"memory://{uuid.uuid4().hex}"

    def spec(prompts: list[str]) -> CompiledPlan:
        return planned(stage_of(spec_of(tiny_learned, prompts=prompts, storage=storage, sharing={"tau": 0.148})))[0]

    run = carry_out(spec_of(tiny_learned, prompts=FOUNDING, storage=storage, sharing={"tau": 0.148}))
    assert run.compiled.plan.frontier_sizes[0] < ENOUGH
    pairs = [pair_of(run.compiled, prompt) for prompt in FOUNDING]
    grown = spec([*FOUNDING, *NEW])
    assert grown.plan.frontier_sizes[0] >= ENOUGH  # the step has moved
    groups = {pair.prompt: Groups(grown).of(pair) for pair in pairs}
    assert groups == {prompt: pair_of(grown, prompt).group for prompt in FOUNDING}
    assert groups != {pair.prompt: pair.group for pair in pairs}

    thinned = spec([*FOUNDING[1:], *NEW])
    assert {pair.prompt: Groups(thinned).of(pair) for pair in pairs} == groups  # a retired prompt's too

    elsewhere = replace(pairs[0], images={SHARED: ArmImage("0" * 64, "", "", {})})
    assert Groups(thinned).of(elsewhere) == elsewhere.group
