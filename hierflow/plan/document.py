"""The plan document: everything that decides what a run makes, as data that is stored and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from hierflow.hashing import digest
from hierflow.plan.identity import SamplingIdentity
from hierflow.plan.lanes import Variant
from hierflow.prompts.settings import RowSettings


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
        tau_from: what the document says of tau; a budget, say, that it was found for.
        pilot: names the pilot that tau was found by; empty if there was none.
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
        dormant: partitions of this tree that hold no live prompts; new ones may yet be grafted into them.
        overflow: key of the partition for grafts whose host's has no room; empty if none is open.
        left_out: why rows of the prompts have no images here, by their prompt ids: what cannot be encoded.
    """

    tree: str
    prompts: str
    tau: float
    tau_from: Mapping[str, Any]
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
    dormant: tuple[PlannedPartition, ...] = ()
    overflow: str = ""
    pilot: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    format: int = field(default=4)

    @cached_property
    def id(self) -> str:
        """Content hash (64 hex digits)."""
        said = asdict(self)
        if not self.left_out:  # which plans did not say before
            del said["left_out"]
        return digest("hierflow plan 1", said)

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


def document_from(stored: dict[str, Any]) -> PlanDocument:
    """The document that `dataclasses.asdict` gave, read back from JSON."""

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
        }
    )


def _no_partition(key: str) -> PlannedPartition:
    raise KeyError(f"the plan has no partition {key!r}")
