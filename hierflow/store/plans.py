"""Trees and plans: immutable, named by content, with one `current` pointer that is replaced in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hierflow.hashing import digest
from hierflow.plan.identity import SamplingIdentity, StateIds, conditioning_id
from hierflow.plan.lanes import Lane, Variant, steps_of
from hierflow.plan.partitions import owners
from hierflow.plan.segments import Plan, compile_plan
from hierflow.prompts import PromptSet
from hierflow.prompts.settings import RowSettings
from hierflow.store.sealed import read_arrays, read_json, write_arrays, write_json
from hierflow.store.storage import DamagedFileError, Storage
from hierflow.tree.embedding_tree import EmbeddingTree
from hierflow.tree.planted import Growth, PlantedTree

_POINTER = "current.json"


@dataclass(frozen=True)
class PlannedPartition:
    """A partition as a plan has it.

    Attributes:
        key: the partition key.
        subtrees: the tree nodes it holds; a graft that another partition holds may lie within one of them.
        slice: hash of the images it must make; a record under this hash is this partition's result. Empty if all its
            prompts are retired.
    """

    key: str
    subtrees: tuple[int, ...]
    slice: str


@dataclass(frozen=True)
class PlannedVariant:
    """The images of one seed, size and negative prompt.

    Attributes:
        variant: which.
        leaves: the live prompts (leaves of the tree) that have such images, ascending.
    """

    variant: Variant
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class PlanDocument:
    """Everything that decides what a run makes, so that no run has to read the user's document midway.

    Attributes:
        tree: id of the planted tree.
        prompts: content hash of the prompt set.
        tau, steps, images_per_prompt: the schedule.
        encoder: fingerprint of text encoder, prior, their settings and seed.
        decoder: fingerprint of the latent decoder.
        scorers: names and versions of the quality scores.
        sampling: what a denoising step is made of, by the document alone.
        negative_prompt: the document's; empty if it has none.
        variants: what rows of the prompts set besides, or do not; every image is of one of them.
        sizes: `sampling` at those sizes that are not the document's own.
        partitions: those that hold live prompts; the founding ones from left to right in the tree, then those that
            grafts have opened.
        tombstones: keys that hold no live prompts: of earlier trees, and of `dormant`.
        planned, standard: evaluations with and without sharing, all variants and image indices together.
        retired: the leaves of the tree that stand for no prompt of the set any more.
        dormant: partitions of this tree that hold no live prompts; new ones may yet be grafted into them.
        overflow: key of the partition for grafts whose host's has no room; empty if none is open.
    """

    tree: str
    prompts: str
    tau: float
    steps: int
    images_per_prompt: int
    encoder: str
    decoder: str
    scorers: Mapping[str, str]
    sampling: SamplingIdentity
    negative_prompt: str
    variants: tuple[PlannedVariant, ...]
    sizes: tuple[SamplingIdentity, ...]
    partitions: tuple[PlannedPartition, ...]
    tombstones: tuple[str, ...]
    planned: int
    standard: int
    retired: tuple[int, ...] = ()
    dormant: tuple[PlannedPartition, ...] = ()
    overflow: str = ""
    format: int = field(default=3)

    @cached_property
    def id(self) -> str:
        """Content hash (64 hex digits)."""
        return digest("hierflow plan 1", asdict(self))

    @property
    def evaluations_a_step(self) -> tuple[int, ...]:
        """How many evaluations each of the steps takes."""
        return self.sampling.evaluations_a_step(self.steps)

    def variant_of(self, settings: RowSettings) -> Variant:
        """The variant of a row that sets this."""
        negative = settings.negative_prompt
        return Variant(
            seed=self.sampling.seed if settings.seed is None else settings.seed,
            height=settings.image_height or self.sampling.height,
            width=settings.image_width or self.sampling.width,
            negative_prompt=None if negative == self.negative_prompt else negative,
        )

    def sampling_of(self, variant: Variant) -> SamplingIdentity:
        """What a denoising step of that variant is made of."""
        size = (variant.height, variant.width)
        own = next(s for s in (self.sampling, *self.sizes) if (s.height, s.width) == size)
        return replace(own, seed=variant.seed)

    @property
    def saved(self) -> float:
        """1 - planned / standard."""
        return 1.0 - self.planned / self.standard

    def partition(self, key: str) -> PlannedPartition:
        """The partition named `key`.

        Raises:
            KeyError: the plan has no such partition (it may be a tombstone).
        """
        return next(p for p in self.partitions if p.key == key) if key in self.keys else _no_partition(key)

    @property
    def keys(self) -> list[str]:
        """The keys of the partitions that hold prompts."""
        return [partition.key for partition in self.partitions]


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
        live = np.ones(self.planted.tree.leaves, dtype=bool)
        live[list(self.document.retired)] = False
        return live

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
        """The lanes of a row's images, in the order of their indices."""
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
        return sum(steps_of(self.plan, self.segments_of(key, lane)) for lane in self.lanes)

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

    def images_of(self, prompts: PromptSet, lane: Lane) -> npt.NDArray[np.int64]:
        """(N,) how many images of a lane each leaf of the tree stands for; 0 for those that have none in it."""
        images, document = np.zeros(self.planted.tree.leaves, dtype=np.int64), self.document
        for leaf in lane.leaves:
            rows = prompts.rows_of(self.planted.texts[leaf])
            images[leaf] = sum(document.variant_of(prompts.settings_of(row)) == lane.variant for row in rows)
        return images

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


class Pointer(NamedTuple):
    """What is current.

    Attributes:
        plan: id of the plan.
        request: the invocation (run of the set's job, command, call) that last asked for it.
    """

    plan: str
    request: str


class PlanBook:
    """The trees, plans and the pointer of one image set."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def save(self, compiled: CompiledPlan) -> None:
        """Store tree and plan, over what is damaged; the pointer stays where it is."""
        planted = compiled.planted
        if not self._intact(read_arrays, _tree_path(planted.id)):
            arrays = {
                "merges": planted.tree.merges,
                "heights": planted.tree.heights,
                "generations": planted.generations,
                "labels": planted.labels,
            }
            meta = {"texts": list(planted.texts), "encoder": planted.encoder, "linkage": planted.tree.linkage}
            write_arrays(self._storage, _tree_path(planted.id), arrays, meta)
        path = _plan_path(compiled.document.id)
        if not self._intact(read_json, path):
            write_json(self._storage, path, asdict(compiled.document))

    def point_to(self, plan: str, request: str = "") -> None:
        """Make `plan`, which must be stored, the current one, because `request` asked for it."""
        write_json(self._storage, _POINTER, {"plan": plan, "request": request})

    def pointer(self) -> Pointer | None:
        """Which plan is current, and who asked for it; None if the set has no plan yet.

        Raises:
            DamagedFileError: the pointer is not intact.
        """
        try:
            stored = read_json(self._storage, _POINTER)
        except FileNotFoundError:
            return None
        return Pointer(stored["plan"], stored.get("request", ""))

    def current(self) -> CompiledPlan | None:
        """The current plan; None if the set has none yet.

        Raises:
            DamagedFileError: pointer, plan or tree is not intact.
        """
        pointer = self.pointer()
        try:
            return self.load(pointer.plan) if pointer else None
        except FileNotFoundError:
            return None

    def load(self, plan: str) -> CompiledPlan:
        """The stored plan of that id.

        Raises:
            FileNotFoundError: it is not stored.
            DamagedFileError: it is, but not intact.
        """
        document = _document(read_json(self._storage, _plan_path(plan)))
        arrays, meta = read_arrays(self._storage, _tree_path(document.tree))
        tree = EmbeddingTree(arrays["merges"], arrays["heights"], meta["linkage"])
        growth = Growth(arrays["generations"], arrays["labels"])
        return CompiledPlan(document, PlantedTree(tree, tuple(meta["texts"]), meta["encoder"], growth))

    def _intact(self, read: Callable[[Storage, str], object], path: str) -> bool:
        try:
            read(self._storage, path)
        except (FileNotFoundError, DamagedFileError):
            return False
        return True


def _document(stored: dict[str, Any]) -> PlanDocument:
    def partitions(name: str) -> tuple[PlannedPartition, ...]:
        return tuple(PlannedPartition(p["key"], tuple(p["subtrees"]), p["slice"]) for p in stored[name])

    return PlanDocument(
        **{
            **stored,
            "sampling": SamplingIdentity(**stored["sampling"]),
            "variants": tuple(
                PlannedVariant(Variant(**planned["variant"]), tuple(planned["leaves"]))
                for planned in stored["variants"]
            ),
            "sizes": tuple(SamplingIdentity(**sampling) for sampling in stored["sizes"]),
            "partitions": partitions("partitions"),
            "dormant": partitions("dormant"),
            "tombstones": tuple(stored["tombstones"]),
            "retired": tuple(stored["retired"]),
        }
    )


def _no_partition(key: str) -> PlannedPartition:
    raise KeyError(f"the plan has no partition {key!r}")


def _tree_path(tree: str) -> str:
    return f"trees/{tree}.safetensors"


def _plan_path(plan: str) -> str:
    return f"plans/{plan}.json"
