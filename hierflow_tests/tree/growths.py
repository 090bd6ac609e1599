"""Trees that have been grafted on, with what every prompt must be conditioned on at every step, kept by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from hierflow.plan.grafting import never_shared
from hierflow.plan.identity import StateIds, conditioning_id
from hierflow.plan.schedule import phi
from hierflow.plan.segments import Plan, compile_plan
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import Graft, Grown, PlantedTree
from hierflow_tests.oracles.cut import frontier
from hierflow_tests.plan.trees import trees

Founders = frozenset[str]
TAUS = st.sampled_from([0.0, 0.125, 0.5, 1.0, 1.5, 3.0]) | st.floats(0.01, 4)


class Before(NamedTuple):
    """A tree before it was grafted on, the grafts, and what came of it."""

    planted: PlantedTree
    grafts: list[Graft]
    grown: Grown


@dataclass(frozen=True)
class Story:
    """A tree and how it came about.

    Attributes:
        planted: the tree as it is.
        tau, steps: the schedule.
        paths: of every leaf, the founding members of what serves it at the steps 1 .. steps.
        rounds: the graftings, oldest first.
    """

    planted: PlantedTree
    tau: float
    steps: int
    paths: list[list[Founders]]
    rounds: list[Before]

    @property
    def plan(self) -> Plan:
        """All of it, cut."""
        return compile_plan(self.planted.tree, self.tau, self.steps)


@st.composite
def stories(draw: st.DrawFn, rounds: int = 3, prompts: int = 6) -> Story:
    """Any tree, grafted on several times at any host and step, from noise too, by any clusters."""
    tau, steps, tree = draw(TAUS), draw(st.integers(1, 6)), draw(trees(prompts))
    texts = tuple(f"p{leaf}" for leaf in range(tree.leaves))
    story = Story(PlantedTree(tree, texts, "enc"), tau, steps, own_paths(tree, texts, tau, steps), [])
    for number in range(draw(st.integers(0, rounds))):
        story = grown(story, [draw(_grafts(story, f"g{number}{i}")) for i in range(draw(st.integers(1, 3)))])
    return story


@st.composite
def _grafts(draw: st.DrawFn, story: Story, name: str) -> Graft:
    tree = draw(trees(3))
    texts, plan = tuple(f"{name}{leaf}" for leaf in range(tree.leaves)), story.plan
    threshold = phi(story.tau, story.steps)
    places = [
        (int(node), float(threshold[step - 1]))
        for node, first, last in zip(plan.nodes, plan.first, plan.last, strict=True)
        for step in range(first, last + 1)
        if threshold[step - 1] > 0
    ]
    host, height = draw(st.sampled_from([(-1, never_shared(story.tau, plan.tree, tree)), *places]))
    return Graft(host, height, tree, texts)


def grown(story: Story, grafts: list[Graft]) -> Story:
    """The story goes on with `grafts`."""
    plan, paths, threshold = story.plan, list(story.paths), phi(story.tau, story.steps)
    for graft in grafts:
        shared: list[Founders] = []
        if graft.host >= 0:
            (guest,) = plan.served(int(plan.segment_of_node[graft.host]))[:1]
            shared = story.paths[guest][: int(np.flatnonzero(threshold == graft.height)[0]) + 1]
        own = own_paths(graft.tree, graft.texts, story.tau, story.steps)
        paths += [shared + path[len(shared) :] for path in own]
    after = story.planted.grafted(grafts)
    rounds = [*story.rounds, Before(story.planted, grafts, after)]
    return Story(after.planted, story.tau, story.steps, paths, rounds)


def own_paths(tree: EmbeddingTree, texts: tuple[str, ...], tau: float, steps: int) -> list[list[Founders]]:
    """The clusters each prompt lies in while its tree is cut."""
    levels = frontier(tree.merges, tree.heights, tree.leaves, tau, steps)
    return [
        [frozenset(texts[m] for m in next(c for c in level if leaf in c)) for level in levels]
        for leaf in range(tree.leaves)
    ]


def ids_of(planted: PlantedTree, plan: Plan) -> StateIds:
    """The names of a plan's states."""
    return StateIds(plan, [conditioning_id("enc", planted.founders(int(node))) for node in plan.nodes], "root")


def names_of(planted: PlantedTree, plan: Plan) -> dict[tuple[int, int], tuple[str, str]]:
    """Chain and id of the state that serves each live leaf after each step."""
    ids = ids_of(planted, plan)
    return {
        (int(leaf), step): (ids.chain(segment), ids.at(segment, step))
        for leaf in plan.leaf_order
        for segment in plan.path(int(leaf))
        for step in range(int(plan.first[segment]), int(plan.last[segment]) + 1)
    }
