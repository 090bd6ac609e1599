"""A tree that is grafted on: what the grafts say holds, and whatever was there stays what it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.audit.shares import shares
from hierflow.plan.grafting import never_shared
from hierflow.plan.schedule import phi
from hierflow.plan.segments import compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import Clustering, Graft, PlantedTree
from hierflow_tests.plan.trees import grown as random_tree
from hierflow_tests.store import examples
from hierflow_tests.tree.growths import Story, grown, names_of, own_paths, stories

quick = settings(max_examples=150, deadline=None)
ALONE = EmbeddingTree(np.zeros((0, 2), dtype=np.int64), np.zeros(0), "ward")
PAIR = EmbeddingTree(np.array([[0, 1]]), np.array([0.3]), "ward")


def story_of(tree: EmbeddingTree, tau: float, steps: int) -> Story:
    texts = tuple(f"p{leaf}" for leaf in range(tree.leaves))
    return Story(PlantedTree(tree, texts, "enc"), tau, steps, own_paths(tree, texts, tau, steps), [])


def assert_told(story: Story) -> None:
    """The tree's cut is what the story says, and prompts share a node exactly where all before agrees."""
    plan, planted = story.plan, story.planted
    for k in range(1, story.steps + 1):
        serving = plan.assignment(k)
        told = [frozenset(planted.founders(int(node))) for node in serving]
        assert told == [path[k - 1] for path in story.paths], f"step {k}"
        histories = [tuple(path[:k]) for path in story.paths]
        for one in range(len(histories)):
            for other in range(one):
                assert (serving[one] == serving[other]) == (histories[one] == histories[other]), (k, one, other)


@quick
@given(story=stories())
def test_a_grown_trees_ordinary_cut_is_what_the_grafts_say(story: Story) -> None:
    assert_told(story)


@quick
@given(story=stories())
def test_a_grown_tree_is_an_embedding_tree(story: Story) -> None:
    tree = story.planted.tree
    assert len(tree.merges) == len(tree.heights) == tree.leaves - 1
    assert (np.diff(tree.heights) >= 0).all()
    assert sorted(tree.merges.ravel().tolist()) == list(range(2 * tree.leaves - 2))  # everyone but the root, once
    for merge, children in enumerate(tree.merges):
        assert (children < tree.leaves + merge).all()
        assert (tree.node_heights[children] <= tree.heights[merge]).all()
    assert sorted(tree.leaf_order) == list(range(tree.leaves))
    assert len(story.planted.texts) == len(story.planted.generations) == tree.leaves


@quick
@given(story=stories())
def test_every_old_node_keeps_its_name_its_founders_and_its_height(story: Story) -> None:
    for planted, _, after in story.rounds:
        new = after.planted
        for node in range(2 * planted.tree.leaves - 1):
            here = int(after.moved[node])
            assert new.founders(here) == planted.founders(node)
            assert new.labels[here] == planted.labels[node]
            assert new.tree.node_heights[here] == planted.tree.node_heights[node]
        assert after.moved[: planted.tree.leaves].tolist() == list(range(planted.tree.leaves))
        assert new.texts[: planted.tree.leaves] == planted.texts
        assert new.generations[: planted.tree.leaves].tolist() == planted.generations.tolist()


@quick
@given(story=stories())
def test_every_old_state_keeps_its_id_its_chain_and_its_step(story: Story) -> None:
    for planted, _, after in story.rounds:
        plans = [compile_plan(p.tree, story.tau, story.steps) for p in (planted, after.planted)]
        old, new = names_of(planted, plans[0]), names_of(after.planted, plans[1])
        assert {key: new[key] for key in old} == old


@quick
@given(story=stories())
def test_a_state_has_one_name_and_a_name_one_state(story: Story) -> None:
    plan = story.plan
    found = names_of(story.planted, plan)
    states = {(chain, step): state for (_, step), (chain, state) in found.items()}
    assert len(states) == len({state for _, state in found.values()}) == plan.evaluations
    assert all(states[chain, step] == state for (_, step), (chain, state) in found.items())


@quick
@given(story=stories())
def test_only_nodes_made_from_the_same_prompts_bear_one_label(story: Story) -> None:
    planted, plan = story.planted, story.plan
    made_from: dict[int, list[str]] = {}
    for node in plan.nodes:
        label = int(planted.labels[node])
        assert made_from.setdefault(label, planted.founders(int(node))) == planted.founders(int(node))
    lists = [tuple(founders) for founders in made_from.values()]
    assert len(set(lists)) == len(lists)


@quick
@given(story=stories())
def test_above_a_node_stands_what_holds_it_and_all_that_was_grafted_below_it(story: Story) -> None:
    for planted, grafts, after in story.rounds:
        new, tree = after.planted, planted.tree
        for graft, root in zip(grafts, after.roots, strict=True):
            assert tuple(new.texts[leaf] for leaf in new.tree.members(root)) == graft.texts
        for node in range(2 * tree.leaves - 1):
            below = set(tree.members(node).tolist())
            inside = {n for n in range(2 * tree.leaves - 1) if set(tree.members(n).tolist()) <= below}
            hosts = inside | ({-1} if node == tree.root else set())
            held = {planted.texts[leaf] for leaf in below}
            held |= {text for graft in grafts if graft.host in hosts for text in graft.texts}
            assert {new.texts[leaf] for leaf in new.tree.members(int(after.above[node]))} == held


@quick
@given(story=stories(), data=st.data())
def test_retiring_takes_away_what_leads_to_nobody_and_changes_nothing_else(story: Story, data: st.DataObject) -> None:
    tree = story.planted.tree
    live = np.array(data.draw(st.lists(st.booleans(), min_size=tree.leaves, max_size=tree.leaves)), dtype=bool)
    live[data.draw(st.integers(0, tree.leaves - 1))] = True
    whole, plan = story.plan, compile_plan(tree, story.tau, story.steps, live)

    assert plan.leaves == live.sum()
    assert plan.leaf_order.tolist() == [leaf for leaf in tree.leaf_order if live[leaf]]
    everybody = names_of(story.planted, whole)
    assert names_of(story.planted, plan) == {key: name for key, name in everybody.items() if live[key[0]]}
    assert plan.evaluations == len({state for _, state in names_of(story.planted, plan).values()})
    for segment, node in enumerate(plan.nodes):
        assert sorted(plan.served(segment)) == [leaf for leaf in tree.members(int(node)) if live[leaf]]
    for k in range(1, story.steps + 1):
        assert plan.assignment(k).tolist() == np.where(live, whole.assignment(k), -1).tolist()
    steps = {segment: float(plan.last[segment] - plan.first[segment] + 1) for segment in range(len(plan.nodes))}
    assert shares(plan, steps, live.astype(np.int64)).sum() == pytest.approx(plan.evaluations)


def test_a_graft_leaves_after_the_step_it_says() -> None:
    # Two prompts share the first three of five steps (phi 1, .75, .5, .25, 0).
    story = story_of(EmbeddingTree(np.array([[0, 1]]), np.array([0.5]), "ward"), 1.0, 5)
    story = grown(story, [Graft(2, 0.75, ALONE, ("g",))])
    plan = story.plan
    assert [len(set(plan.assignment(k).tolist())) for k in range(1, 6)] == [1, 1, 2, 3, 3]
    assert story.planted.founders(int(plan.assignment(2)[2])) == ["p0", "p1"]
    assert_told(story)


@pytest.mark.parametrize("steps", [(1, 1), (1, 3), (3, 1), (2, 3)])
def test_several_grafts_leave_one_host_each_after_its_own_step(steps: tuple[int, int]) -> None:
    tree = EmbeddingTree(np.array([[0, 1]]), np.array([0.2]), "ward")
    threshold = phi(1.0, 5)
    grafts = [Graft(2, float(threshold[step - 1]), tree, (f"{i}a", f"{i}b")) for i, step in enumerate(steps)]
    story = grown(story_of(tree, 1.0, 5), grafts)
    assert_told(story)
    turned = grown(story_of(tree, 1.0, 5), grafts[::-1])
    assert turned.plan.frontier_sizes.tolist() == story.plan.frontier_sizes.tolist()


def test_a_graft_on_a_graft_shares_what_the_first_one_is_conditioned_on() -> None:
    story = grown(story_of(ALONE, 1.0, 5), [Graft(0, 0.75, PAIR, ("ga", "gb"))])
    host = int(story.plan.assignment(3)[1])
    assert story.planted.founders(host) == ["ga", "gb"]
    story = grown(story, [Graft(host, 0.5, ALONE, ("h",))])
    path = [sorted(founders) for founders in story.paths[3]]
    assert path == [["p0"], ["p0"], ["ga", "gb"], ["h"], ["h"]]
    assert_told(story)


def test_grafts_from_noise_share_nothing_with_the_tree_or_with_each_other() -> None:
    story = story_of(random_tree(4), 9.0, 4)
    height = never_shared(9.0, story.planted.tree, PAIR)
    for name in ("g", "h"):
        story = grown(story, [Graft(-1, height, PAIR, (f"{name}a", f"{name}b")), Graft(-1, height, ALONE, (name,))])
        height = never_shared(9.0, story.planted.tree, PAIR)
    assert story.plan.frontier_sizes[0] == 5
    assert_told(story)


@pytest.mark.parametrize(("tau", "steps"), [(0.0, 4), (0.0, 1), (2.0, 1)])
def test_where_nothing_is_shared_a_graft_shares_nothing(tau: float, steps: int) -> None:
    story = story_of(EmbeddingTree.from_embeddings(np.ones((3, 2))), tau, steps)
    twins = EmbeddingTree.from_embeddings(np.ones((2, 2)))
    story = grown(story, [Graft(-1, never_shared(tau, story.planted.tree, twins), twins, ("a", "b"))])
    assert story.plan.saved == 0
    assert_told(story)


def test_identical_prompts_stay_apart_at_the_last_step() -> None:
    story = story_of(EmbeddingTree.from_embeddings(np.ones((3, 2))), 0.5, 6)
    twins = EmbeddingTree.from_embeddings(np.ones((2, 2)))
    story = grown(story, [Graft(story.planted.tree.root, float(phi(0.5, 6)[4]), twins, ("a", "b"))])
    assert story.plan.frontier_sizes.tolist() == [1] * 5 + [5]
    assert_told(story)


def test_the_id_tells_trees_apart_that_differ_in_anything_but_how_they_were_stored() -> None:
    story = story_of(random_tree(4), 9.0, 4)
    root = story.planted.tree.root
    graft = Graft(root, float(phi(9.0, 4)[1]), ALONE, ("g",))
    trees = [
        story.planted,
        grown(story, [graft]).planted,
        grown(story, [graft._replace(height=float(phi(9.0, 4)[0]))]).planted,
        grown(story, [graft._replace(texts=("h",))]).planted,
    ]
    assert len({tree.id for tree in trees}) == 4
    assert grown(story, [graft]).planted.id == trees[1].id


def test_of_a_prompt_that_was_grafted_anew_the_latest_leaf_stands() -> None:
    story = grown(story_of(PAIR, 1.0, 5), [Graft(-1, 2.0, ALONE, ("p1",))])
    assert story.planted.leaf_of == {"p0": 0, "p1": 2}
    assert story.planted.live(["p0", "p1"]).tolist() == [True, False, True]
    assert story.planted.founders(story.planted.tree.root) == ["p0", "p1"]


def test_a_trees_id_names_its_encoder_its_clustering_its_texts_and_its_shape() -> None:
    tree = examples.planted()
    others = [
        PlantedTree(tree.tree, tree.texts, "other"),
        PlantedTree(tree.tree, tree.texts, "enc", clustering=Clustering("a model", "its fingerprint")),
        PlantedTree(tree.tree, (*tree.texts[:-1], "f" * 64), "enc"),
        PlantedTree(EmbeddingTree(tree.tree.merges, tree.tree.heights, "average"), tree.texts, "enc"),
        PlantedTree(EmbeddingTree(tree.tree.merges[:, ::-1], tree.tree.heights, "ward"), tree.texts, "enc"),
        PlantedTree(EmbeddingTree(tree.tree.merges, 2 * tree.tree.heights, "ward"), tree.texts, "enc"),
    ]
    assert examples.planted().id == tree.id
    assert PlantedTree(tree.tree, tree.texts, "enc", clustering=Clustering("another name", "")).id == tree.id
    assert len({tree.id, *(other.id for other in others)}) == 1 + len(others)


def test_a_nodes_founders_are_the_texts_of_its_members() -> None:
    tree = examples.planted()
    for node in (0, 12, tree.tree.root):
        assert tree.founders(node) == sorted(tree.texts[leaf] for leaf in tree.tree.members(node))
    assert [tree.leaf_of[text] for text in tree.texts] == list(range(9))


def test_a_grown_tree_is_clustered_by_what_it_was() -> None:
    tree, by = examples.planted(), Clustering("a model", "its fingerprint")
    planted = PlantedTree(tree.tree, tree.texts, "enc", clustering=by)
    assert planted.grafted([Graft(-1, 2.0, ALONE, ("z" * 64,))]).planted.clustering == by
