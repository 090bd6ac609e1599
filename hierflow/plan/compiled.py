"""The compiled plan: a plan document with its tree, cut into segments, named and divided among partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.plan.document import PlanDocument
from hierflow.plan.identity import StateIds, conditioning_id
from hierflow.plan.lanes import Lane, Variant
from hierflow.plan.partitions import owners
from hierflow.plan.segments import Plan, compile_plan
from hierflow.prompts import PromptSet
from hierflow.tree.planted import PlantedTree


@dataclass(frozen=True, eq=False)
class CompiledPlan:
    """A plan document with its tree, cut and named: what the engine executes slices of."""

    document: PlanDocument
    planted: PlantedTree

    @cached_property
    def plan(self) -> Plan:
        """The segments."""
        return compile_plan(self.planted.tree, self.document.tau, self.document.evaluations_a_step, self.live)

    @cached_property
    def live(self) -> npt.NDArray[np.bool_]:
        """(N,) which leaves of the tree stand for prompts of the set."""
        live = np.zeros(self.planted.tree.leaves, dtype=bool)
        live[[leaf for planned in self.document.variants for leaf in planned.leaves]] = True
        return live

    @property
    def variant_leaves(self) -> list[npt.NDArray[np.int64]]:
        """The leaves that have images of each variant."""
        return [np.array(planned.leaves, dtype=np.int64) for planned in self.document.variants]

    @cached_property
    def leaf_of(self) -> dict[str, int]:
        """The leaf of each of the set's text hashes, ascending by hash."""
        return dict(sorted((self.planted.texts[leaf], int(leaf)) for leaf in np.flatnonzero(self.live)))

    @cached_property
    def lanes(self) -> list[Lane]:
        """The frontiers over the tree: one a variant and image index."""
        return lanes_of(self.plan, self.planted, self.document)

    def lane(self, variant: Variant, image_index: int) -> Lane:
        """The lane that makes a variant's images of one index.

        Raises:
            KeyError: the plan has no such images.
        """
        return self._lane_of[variant, image_index]

    @cached_property
    def _lane_of(self) -> dict[tuple[Variant, int], Lane]:
        return {(lane.variant, lane.image_index): lane for lane in self.lanes}

    def lanes_of(self, prompts: PromptSet, row: int) -> list[Lane]:
        """The lanes of a row's images, in the order of their indices; none where the row is left out."""
        if prompts.ids[row] in self.document.left_out:
            return []
        variant = self.document.variant_of(prompts.settings_of(row))
        return [self.lane(variant, index) for index in range(self.document.images_per_prompt)]

    def final(self, text: str, variant: Variant, image_index: int) -> str:
        """The id of the state that an image is decoded from, by its prompt's hash."""
        return self.lane(variant, image_index).ids.final(self.leaf_of[text])

    def terminals(self, leaves: Mapping[Lane, Iterable[int]]) -> dict[Lane, list[int]]:
        """The segments that end with the given prompts (leaves), by the lane."""
        last = self.plan.segment_of_node
        return {lane: [int(last[leaf]) for leaf in own] for lane, own in leaves.items()}

    @cached_property
    def frontier_sizes(self) -> npt.NDArray[np.int64]:
        """(steps,) how many evaluations each step takes, all lanes together."""
        change = np.zeros(self.plan.steps + 2, dtype=np.int64)
        for lane in self.lanes:
            np.add.at(change, self.plan.first[lane.segments], 1)
            np.add.at(change, self.plan.last[lane.segments] + 1, -1)
        return np.cumsum(change)[1 : self.plan.steps + 1]

    @cached_property
    def node_owner(self) -> npt.NDArray[np.int64]:
        """(2N - 1,) the index of each node's partition among those with live prompts; -1 in the trunk.

        What a dormant partition holds has an index beyond them.
        """
        bins = [partition.subtrees for partition in (*self.document.partitions, *self.document.dormant)]
        return owners(self.planted.tree, bins)

    @cached_property
    def segment_owner(self) -> npt.NDArray[np.int64]:
        """(S,) the index of each segment's partition; -1 in the trunk."""
        return self.node_owner[self.plan.nodes]

    def segments_of(self, key: str | None, lane: Lane | None = None) -> npt.NDArray[np.int64]:
        """The segments of a partition, or of the trunk if `key` is None; parents before children.

        Args:
            key: of the partition.
            lane: only those that lead to its images; by default of all lanes.
        """
        index = -1 if key is None else self.document.keys.index(key)
        among = np.arange(len(self.plan.nodes)) if lane is None else lane.segments
        segments: npt.NDArray[np.int64] = among[self.segment_owner[among] == index]
        return segments

    def evaluations_of(self, key: str | None) -> int:
        """The denoiser steps of a partition, or of the trunk if `key` is None, all lanes together."""
        return sum(self.plan.steps_of(self.segments_of(key, lane)) for lane in self.lanes)

    @cached_property
    def _texts_by_partition(self) -> list[list[str]]:
        found: list[list[str]] = [[] for _ in self.document.partitions]
        for text, leaf in self.leaf_of.items():
            found[self.node_owner[leaf]].append(text)
        return found

    def texts_of(self, key: str) -> list[str]:
        """The text hashes of a partition's prompts, ascending."""
        self.document.partition(key)
        return self._texts_by_partition[self.document.keys.index(key)]

    def images_of(self, prompts: PromptSet, lanes: Iterable[Lane]) -> Iterator[tuple[Lane, npt.NDArray[np.int64]]]:
        """Each lane, and (N,) how many of its images each leaf of the tree stands for; 0 where it has none in it."""
        counts: dict[Variant, Counter[int]] = {}
        for text, leaf in self.leaf_of.items():
            for row in prompts.rows_of(text):
                if prompts.ids[row] not in self.document.left_out:
                    counts.setdefault(self.document.variant_of(prompts.settings_of(row)), Counter())[leaf] += 1
        for lane in lanes:
            images, own = np.zeros(self.planted.tree.leaves, dtype=np.int64), counts[lane.variant]
            images[list(own)] = list(own.values())
            yield lane, images

    def partition_of_text(self) -> dict[str, str]:
        """The partition key of every text hash."""
        return {text: key for key in self.document.keys for text in self.texts_of(key)}


def lanes_of(plan: Plan, planted: PlantedTree, document: PlanDocument) -> list[Lane]:
    """The lanes of a document over a plan, which may hold more prompts than the document's own (retired ones)."""
    founders = [planted.founders(int(node)) for node in plan.nodes]
    conditioning = {
        negative: [conditioning_id(encoder_of(planted.encoder, negative), texts) for texts in founders]
        for negative in {planned.variant.negative_prompt for planned in document.variants}
    }
    lanes: list[Lane] = []
    for planned in document.variants:
        sampling, named = document.sampling_of(planned.variant), conditioning[planned.variant.negative_prompt]
        leaves = np.array(planned.leaves, dtype=np.int64)
        for index in range(document.images_per_prompt):
            ids = StateIds(plan, named, sampling.root(index))
            lanes.append(Lane(planned.variant, index, ids, leaves))
    return lanes


def encoder_of(encoder: str, negative_prompt: str | None) -> str:
    """Names what conditions a variant: the encoder, and the negative prompt that stands for the document's."""
    return encoder if negative_prompt is None else digest("hierflow negative 1", encoder, negative_prompt)
