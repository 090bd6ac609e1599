"""What nights of change cost, by the plans alone: no network runs, but every step is counted as if it had.

A night's work is planned by the engine's own rule from what a store would hold by then: the states at splits, and
those of every few steps. So what is replayed is counted too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hierflow.denoise.work import plan_work
from hierflow.plan.grafting import grafts_of
from hierflow.plan.identity import StateIds, conditioning_id
from hierflow.plan.lanes import Lane, Variant
from hierflow.plan.mismatch import founding_directions, mean_mismatch
from hierflow.plan.segments import Plan, compile_plan
from hierflow.spec import PartitionsSpec, SharingSpec
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import PlantedTree

Float = npt.NDArray[np.float64]
Vectors = Mapping[str, Float]

STEPS = 40
CHECKPOINT_EVERY = SharingSpec().checkpoint_every
MAX_PROMPTS = PartitionsSpec().max_prompts
_ENCODER = "bench"


class Work(NamedTuple):
    """What a night executes.

    Attributes:
        executed: evaluations, replayed ones included.
        replayed: those whose states had been computed before, but not stored.
    """

    executed: int
    replayed: int


class Price(NamedTuple):
    """Evaluations of a night in which `prompts` prompts are replaced.

    Attributes:
        prompts: how many.
        over: starting over.
        cached: content caching.
        alone: the new prompts as a set of their own.
        pinned, replayed: hierflow's; the second is contained in the first.
    """

    prompts: float
    over: float
    cached: float
    alone: float
    pinned: float
    replayed: float


class Night(NamedTuple):
    """One night of a pinned tree.

    Attributes:
        executed, replayed: evaluations; the second is contained in the first.
        alone: those of the new prompts as a set of their own.
        fresh: those of starting over.
        regret, drift: against a fresh tree.
    """

    executed: int
    replayed: int
    alone: int
    fresh: int
    regret: float
    drift: float


@dataclass
class Store:
    """Which states have been computed, and which of them are stored."""

    computed: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)

    def copy(self) -> Store:
        """One that holds the same."""
        return Store(set(self.computed), set(self.stored))

    def run(self, planted: PlantedTree, plan: Plan) -> Work:
        """Make whatever `plan` lacks."""
        conditioning = [conditioning_id(_ENCODER, planted.founders(int(node))) for node in plan.nodes]
        ids = StateIds(plan, conditioning, "noise")
        lane = Lane(Variant(0, 64, 64), 0, ids, plan.leaf_order)
        stretches = plan_work(
            {lane: [int(plan.segment_of_node[leaf]) for leaf in plan.leaf_order]},
            has=self.stored.__contains__,
            checkpoint_every=CHECKPOINT_EVERY,
        )
        made = [ids.at(each.segment, step) for each in stretches for step in range(each.first, each.last + 1)]
        replayed = sum(state in self.computed for state in made)
        self.computed.update(made)
        for stretch in stretches:
            self.stored.update(stretch.keep.values())
        return Work(len(made), replayed)


class Fresh:
    """A tree made anew of the prompts as they are."""

    def __init__(self, texts: Sequence[str], vectors: Vectors) -> None:
        hashes = sorted(texts)
        self.vectors = np.stack([vectors[text] for text in hashes])
        self.planted = PlantedTree(EmbeddingTree.from_embeddings(self.vectors), tuple(hashes), _ENCODER)
        self.means = founding_directions(self.planted, self.vectors)

    def plan(self, tau: float) -> Plan:
        """The tree, cut."""
        return compile_plan(self.planted.tree, tau, STEPS)

    def store(self, tau: float) -> Store:
        """What a first night leaves."""
        store = Store()
        store.run(self.planted, self.plan(tau))
        return store

    def mismatch(self, plan: Plan) -> float:
        """The mean mismatch of `plan`."""
        return mean_mismatch(plan, self.vectors, self.means)


class Pinned:
    """A tree that is kept, as :mod:`hierflow.stages.planning.growing` keeps it.

    Args:
        founding: the tree it begins as.
        tau, tolerance: the document's `sharing`.
        store: what its first night left.
    """

    def __init__(self, founding: Fresh, tau: float, tolerance: float, store: Store) -> None:
        self.planted, self.vectors, self.tau = founding.planted, founding.vectors, tau
        self.plan = founding.plan(tau)
        self.budget = tolerance * founding.mismatch(self.plan)
        self.store = store

    def change(self, texts: Sequence[str], vectors: Vectors) -> Work:
        """Keep the tree for the prompts `texts`, graft what is new, and make what is missing."""
        new = sorted(set(texts) - self.planted.leaf_of.keys())
        if new:
            arrived = np.stack([vectors[text] for text in new])
            grafts = grafts_of(
                compile_plan(self.planted.tree, self.tau, STEPS, self.planted.standing),
                founding_directions(self.planted, self.vectors),
                arrived,
                new,
                budget=self.budget,
                max_prompts=MAX_PROMPTS,
            )
            self.planted = self.planted.grafted(grafts).planted
            self.vectors = np.stack([*self.vectors, *(vectors[text] for graft in grafts for text in graft.texts)])
        self.plan = compile_plan(self.planted.tree, self.tau, STEPS, self.planted.live(texts))
        return self.store.run(self.planted, self.plan)

    @property
    def mismatch(self) -> float:
        """The mean mismatch of the live prompts."""
        return mean_mismatch(self.plan, self.vectors, founding_directions(self.planted, self.vectors))
