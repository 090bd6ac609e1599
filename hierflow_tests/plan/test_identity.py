"""Ids of states: equal exactly where the latents are."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from hierflow.hashing import text_hash
from hierflow.plan.identity import SamplingIdentity, StateIds, conditioning_id, next_state_id
from hierflow.plan.schedule import phi
from hierflow.plan.segments import Plan, compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import Graft, PlantedTree
from hierflow_tests.plan.trees import grown
from hierflow_tests.tree import growths

IDENTITY = SamplingIdentity(
    denoiser="d" * 64,
    scheduler={"class": "DDPMScheduler", "timesteps": [30, 20, 10], "clip_sample": False},
    guidance_scale=4.0,
    height=64,
    width=96,
    dtype="float32",
    seed=7,
    initial_noise="per_root",
    fixed_batch=4,
)
OTHER: dict[str, Any] = {
    "denoiser": "e" * 64,
    "scheduler": {"class": "DDPMScheduler", "timesteps": [30, 20, 11], "clip_sample": False},
    "guidance_scale": 4.5,
    "height": 96,
    "width": 64,
    "dtype": "float16",
    "seed": 8,
    "initial_noise": "shared",
    "fixed_batch": None,
}


def ids_of(plan: Plan, root: str = "root") -> StateIds:
    tree = plan.tree
    conditioning = [conditioning_id("enc", [text_hash(str(m)) for m in tree.members(int(n))]) for n in plan.nodes]
    return StateIds(plan, conditioning, root)


def states_of(tree: EmbeddingTree, tau: float, steps: int = 12) -> dict[tuple[int, int], str]:
    """The id of the state that serves each prompt after each step."""
    plan = tree.plan(tau, steps)
    ids = ids_of(plan)
    return {
        (leaf, k): ids.at(segment, k)
        for leaf in range(tree.leaves)
        for segment in plan.path(leaf)
        for k in range(int(plan.first[segment]), int(plan.last[segment]) + 1)
    }


def test_the_examples_change_every_field_of_the_identity() -> None:
    assert OTHER.keys() == {field.name for field in fields(SamplingIdentity)}


@pytest.mark.parametrize("field", OTHER)
def test_each_field_of_the_identity_gives_another_root(field: str) -> None:
    assert replace(IDENTITY, **{field: OTHER[field]}).root(0) != IDENTITY.root(0)


def test_each_image_index_has_a_root_of_its_own() -> None:
    assert len({IDENTITY.root(index) for index in range(4)}) == 4


def test_the_order_of_settings_and_the_spelling_of_a_number_change_no_root() -> None:
    turned = replace(IDENTITY, scheduler=dict(reversed(IDENTITY.scheduler.items())), guidance_scale=4)
    assert turned.root(0) == IDENTITY.root(0)


def test_a_conditioning_is_named_by_encoder_and_members_in_any_order() -> None:
    members = [text_hash(text) for text in ("a cat", "a dog", "a cow")]
    named = conditioning_id("enc", members)
    assert conditioning_id("enc", members[::-1]) == named
    assert conditioning_id("other", members) != named
    assert conditioning_id("enc", members[:2]) != named


def test_a_state_is_named_by_what_precedes_it_its_conditioning_and_its_step() -> None:
    assert len({next_state_id(p, c, k) for p in ("p", "q") for c in ("c", "d") for k in (1, 2, 12)}) == 12


def test_a_chain_continues_its_parents_chain() -> None:
    plan = grown().plan(1.5, 12)
    ids = ids_of(plan)
    for segment, parent in enumerate(plan.parent):
        state = ids.root if parent < 0 else ids.end(int(parent))
        for k in range(int(plan.first[segment]), int(plan.last[segment]) + 1):
            state = next_state_id(state, ids.conditioning[segment], k)
            assert ids.at(segment, k) == state
        assert ids.end(segment) == state
        assert ids.chain(segment) == ids.at(segment, int(plan.first[segment]))


def test_a_run_that_a_graft_divides_has_one_chain_and_the_ids_it_had() -> None:
    tree, alone = EmbeddingTree.from_embeddings([[1.0, 0.0], [1.0, 0.5]]), EmbeddingTree.from_embeddings([[1.0]])
    before = PlantedTree(tree, ("a", "b"), "enc")
    after = before.grafted([Graft(tree.root, float(phi(1.0, 9)[2]), alone, ("g",))]).planted
    old, new = (compile_plan(planted.tree, 1.0, 9) for planted in (before, after))
    whole, divided = growths.ids_of(before, old), growths.ids_of(after, new)
    upper, lower = (segment for segment, sizes in enumerate(new.sizes) if sizes > 1)
    assert (new.first[upper], new.last[upper], new.first[lower], new.last[lower]) == (1, 3, 4, old.last[0])
    assert divided.chain(upper) == divided.chain(lower) == whole.chain(0) == whole.at(0, 1)
    assert [divided.at(upper if k <= 3 else lower, k) for k in range(1, int(old.last[0]) + 1)] == [
        whole.at(0, k) for k in range(1, int(old.last[0]) + 1)
    ]
    (graft,) = (segment for segment in range(len(new.nodes)) if after.founders(int(new.nodes[segment])) == ["g"])
    assert divided.chain(graft) == divided.at(graft, 4) != divided.at(lower, 4)


def test_a_prompt_is_decoded_from_the_last_state_on_its_path() -> None:
    plan = grown().plan(1.5, 12)
    ids = ids_of(plan)
    assert [ids.final(leaf) for leaf in range(24)] == [ids.at(plan.path(leaf)[-1], 12) for leaf in range(24)]
    assert len({ids.final(leaf) for leaf in range(24)}) == 24


def test_every_state_of_a_plan_has_an_id_of_its_own() -> None:
    plan = grown().plan(1.5, 12)
    assert len(set(states_of(grown(), 1.5).values())) == plan.evaluations


@pytest.mark.parametrize("other", [0.0, 0.9, 1.2, 1.5001, 4.0])
def test_plans_of_other_taus_share_a_state_exactly_where_the_paths_to_it_agree(other: float) -> None:
    tree, steps = grown(), 12
    plans = tree.plan(1.5, steps), tree.plan(other, steps)
    one, two = states_of(tree, 1.5, steps), states_of(tree, other, steps)
    for leaf, k in one:
        nodes = [[int(plan.assignment(j)[leaf]) for j in range(1, k + 1)] for plan in plans]
        assert (one[leaf, k] == two[leaf, k]) == (nodes[0] == nodes[1])


def test_a_larger_tree_renames_no_state_of_a_node_whose_history_it_leaves_alone() -> None:
    plan = grown(2).plan(0.0, 5)
    more = grown(9).plan(0.0, 5)
    assert ids_of(plan).final(1) == ids_of(more).final(1)


class TestFormat:
    """Stored states are found under these ids: a change here orphans everything anybody has stored."""

    def test_roots(self) -> None:
        assert IDENTITY.root(0) == "0ab0715216c4c0ef923b54cf4a09582de67998ee959883afcc5adc5d6cdd0c7a"
        assert IDENTITY.root(3) == "1693e32878c95b77cc20da2ae4ec5d2202b943192165c94ec801d1295ae9545f"

    def test_conditioning(self) -> None:
        assert text_hash("a café") == "d0aac38f82ac25ce2655af1340fc4ee087bdb7740e3a4d8e47612bb4fa6ccbcc"
        assert (
            conditioning_id("enc", [text_hash("a café"), text_hash("a dog")])
            == "32292ff427715f5b88af56f7e940811f3de7ea904bffaec6ccd3ca30e0a905bc"
        )

    def test_states(self) -> None:
        root, conditioning = IDENTITY.root(0), conditioning_id("enc", [text_hash("a dog")])
        assert (
            next_state_id(root, conditioning, 1) == "6dc337dc742f8ce254360649da3305e6ba911a4f406d5bab23817cc94427026c"
        )
