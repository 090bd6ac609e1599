"""The conditioning of the tree's nodes: means of what lies in the store, made as the frontier comes to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hierflow.denoise.work import Stretch
from hierflow.plan.compiled import CompiledPlan
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import stored_negative
from hierflow.stages.embedding.encoding import ensure_stored, lost_embeddings
from hierflow.store.conditioning import ConditioningCache, Row
from hierflow.store.narrow import Narrow

if TYPE_CHECKING:
    import torch

KEPT = 2 << 30
"""Bytes of conditioning that stay in memory while a slice is denoised; what is beyond is read again for each node."""

Tensors = dict[str, "torch.Tensor"]


def node_conditioning(
    stage: Stage,
    compiled: CompiledPlan,
    stretches: Sequence[Stretch],
    on_encoded: Callable[[], object] = lambda: None,
) -> Callable[[Stretch], Tensors]:
    """Gives each node's conditioning: the mean over its founding members, in float64 and founding order, cast once.

    A negative prompt that rows set stands in place of the document's. Tensors have no row axis, are in the networks'
    precision, and lie on the CPU.

    Args:
        stage: the set.
        compiled: its plan.
        stretches: what is going to be denoised. Only its prompts' conditioning is read; what is lost or damaged of it
            is made again.
        on_encoded: called once that has been done, or has failed: what it took is booked by then.

    Raises:
        RunError: something is lost that cannot be made again.
    """
    planted, nodes = compiled.planted, compiled.plan.nodes
    members = {segment: planted.founders(int(nodes[segment])) for segment in {s.segment for s in stretches}}
    rows = _rows(stage, compiled, {text for texts in members.values() for text in texts}, on_encoded)
    dtype = stage.adapter.runtime.torch_dtype

    def tensor(array: npt.NDArray[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(array).to(dtype)

    @cache
    def common(one: int) -> torch.Tensor:
        return tensor(_Mean(rows.common[one]).value())

    @cache
    def negative(prompt: str) -> Tensors:
        return {name: tensor(row) for name, row in stored_negative(stage, prompt).items()}

    def conditioning(stretch: Stretch) -> Tensors:
        means: dict[str, _Mean] = {}
        for row in rows.each(members[stretch.segment]):
            for name, kept in row.items():
                means.setdefault(name, _Mean(kept)).add(kept)
        own = {
            name: common(id(mean.one)) if mean.is_of(rows.common) else tensor(mean.value())
            for name, mean in means.items()
        }
        prompt = stretch.lane.variant.negative_prompt
        return own if prompt is None else own | negative(prompt)

    return conditioning


def _rows(stage: Stage, compiled: CompiledPlan, texts: set[str], on_encoded: Callable[[], object]) -> _Rows:
    """The stored rows of some prompts, made again where they are lost."""
    encoder = compiled.planted.encoder
    rows = _Rows(stage.store.conditioning(encoder), texts)
    if rows.lost:
        prompts = stage.store.prompts.load(compiled.document.prompts)
        text_of = dict(zip(prompts.hashes, prompts.distinct, strict=True))
        try:
            ensure_stored(stage, encoder, sorted(rows.lost), text_of)
        finally:
            on_encoded()
        rows = _Rows(stage.store.conditioning(encoder), texts)
    return rows


class _Rows:
    """The stored rows of some prompts, as many of them in memory as :data:`KEPT` allows.

    Attributes:
        lost: the texts of which nothing intact is stored.
    """

    def __init__(self, store: ConditioningCache, texts: set[str]) -> None:
        self._store, self._texts, self.lost = store, texts, set(texts)
        self._kept: dict[str, Row] = {}
        self._near: dict[str, Row] = {}
        self._shard_of = {text: path for path, held in store.shards().items() for text in held if text in texts}
        left = KEPT
        for path in dict.fromkeys(self._shard_of.values()):
            for text, row in store.opened(path, texts):
                self.lost.discard(text)
                left -= sum(kept.array.nbytes for kept in row.values() if id(kept) not in store.common)
                if left >= 0:
                    self._kept[text] = row

    @property
    def common(self) -> dict[int, Narrow]:
        """What many rows have alike, by the object's id."""
        return self._store.common

    def each(self, texts: Sequence[str]) -> Iterator[Row]:
        """The rows of `texts`, in that order.

        Raises:
            RunError: one has been lost or damaged since.
        """
        for text in texts:
            yield self._kept.get(text) or self._read(text)

    def _read(self, text: str) -> Row:
        if text not in self._near:
            self._near = dict(self._store.opened(self._shard_of[text], self._texts))
        if text not in self._near:
            raise lost_embeddings(1)
        return self._near[text]


class _Mean:
    """The mean of arrays that are added one by one: in float64, as numpy sums along the first axis.

    Attributes:
        one: the first array.
    """

    def __init__(self, one: Narrow) -> None:
        self.one, self._count = one, 0
        self._total: npt.NDArray[np.float64] | None = None

    def add(self, array: Narrow) -> None:
        """One more, of the shape of the others."""
        if self._total is None and array is not self.one:
            self._total = self._only() * self._count  # exact: half of float64's digits are free
        if self._total is not None:
            self._total += array.wide()
        self._count += 1

    def is_of(self, common: dict[int, Narrow]) -> bool:
        """Whether every array was the same one of `common`."""
        return self._total is None and id(self.one) in common

    def value(self) -> npt.NDArray[np.float64]:
        """The mean."""
        return self._only() if self._total is None else self._total / self._count

    def _only(self) -> npt.NDArray[np.float64]:
        return self.one.wide().astype(np.float64) + 0.0  # a sum has no negative zeros
