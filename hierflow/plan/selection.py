"""Which prompts a request makes: all of the set's, or some of them as a first look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from hierflow.errors import InputError
from hierflow.plan.compiled import CompiledPlan
from hierflow.prompts import PromptSet
from hierflow.tree.embedding_tree import EmbeddingTree

Selected = Mapping[str, frozenset[str]]
"""The ids of the prompts to make, by the key of their partition."""


@dataclass(frozen=True)
class PromptSelection:
    """The prompts that a request asks for; tree and plan are always those of the whole set.

    Attributes:
        limit: how many prompts, spread over the tree; None for no limit.
        only: the ids of the prompts; empty for no choice by id.
    """

    limit: int | None = None
    only: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PromptSelection:
        """The selection whose fields JSON has given back."""
        return cls(stored["limit"], tuple(stored["only"]))

    @property
    def is_all(self) -> bool:
        """Whether it asks for every prompt."""
        return self.limit is None and not self.only

    def check(self, prompts: PromptSet, rebuild: str = "") -> None:
        """Refuse what cannot be asked for.

        Raises:
            InputError: a limit below 1, both kinds of selection, a selection with a rebuild, or an unknown id.
        """
        option = "--only" if self.limit is None else "--limit"
        if self.limit is not None and self.limit < 1:
            raise InputError("is less than 1", file="--limit", value=self.limit, remedy="give a number of prompts")
        if self.limit is not None and self.only:
            raise InputError("cannot be combined with --only", file=option, remedy="give one of them")
        if rebuild and not self.is_all:
            raise InputError(
                "cannot be combined with --rebuild", file=option, remedy="rebuild first, then run with the selection"
            )
        known = set(prompts.ids)
        if unknown := [prompt_id for prompt_id in self.only if prompt_id not in known]:
            raise InputError(
                "is not the id of a prompt of the set",
                file="--only",
                value=unknown[0],
                remedy=f"give ids such as {prompts.ids[0]!r}",
            )

    def resolve(self, compiled: CompiledPlan, prompts: PromptSet) -> Selected | None:
        """The prompts to make, by partition; None for all of them."""
        if self.is_all:
            return None
        chosen = set(self.only) or set(islice(_spread_prompts(compiled, prompts), self.limit))
        planned = set(prompts.ids) - compiled.document.left_out.keys()
        if planned <= chosen:
            return None
        selected: dict[str, set[str]] = defaultdict(set)
        for text, key in compiled.partition_of_text().items():
            for row in prompts.rows_of(text):
                if prompts.ids[row] in chosen & planned:
                    selected[key].add(prompts.ids[row])
        return {key: frozenset(ids) for key, ids in selected.items()}


ALL_PROMPTS = PromptSelection()


def _spread_prompts(compiled: CompiledPlan, prompts: PromptSet) -> Iterator[str]:
    """The ids of the planned prompts, so that the first N lie in as many branches as possible.

    Of prompts with equal texts the later ones follow only after all texts.
    """
    texts = [compiled.planted.texts[leaf] for leaf in spread_leaves(compiled.planted.tree, compiled.live)]
    rows = [[row for row in prompts.rows_of(text) if compiled.lanes_of(prompts, row)] for text in texts]
    for repetition in range(max(map(len, rows), default=0)):
        yield from (prompts.ids[own[repetition]] for own in rows if repetition < len(own))


def spread_leaves(tree: EmbeddingTree, live: npt.NDArray[np.bool_]) -> Iterator[int]:
    """The live leaves; the first N are one of each of the N clusters that the N - 1 highest merges separate.

    The leaf of a cluster is the one that its larger branches lead to, so that a larger N only adds leaves.

    Args:
        tree: the tree.
        live: (N,) which of its leaves count; the others are passed over.
    """
    sizes = np.concatenate([live.astype(np.int64), np.zeros(len(tree.merges), np.int64)])
    typical = np.arange(len(sizes))
    for node, (left, right) in enumerate(tree.merges, start=tree.leaves):
        sizes[node] = sizes[left] + sizes[right]
        typical[node] = typical[left if sizes[left] >= sizes[right] else right]
    if sizes[tree.root]:
        yield int(typical[tree.root])
    for node in range(tree.root, tree.leaves - 1, -1):
        left, right = tree.merges[node - tree.leaves]
        if sizes[left] and sizes[right]:
            yield int(typical[right if typical[left] == typical[node] else left])
