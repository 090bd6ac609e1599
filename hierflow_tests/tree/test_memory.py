"""What a tree takes, and machines that are too small for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hierflow.errors import InputError
from hierflow.tree import EmbeddingTree, memory
from hierflow.tree.linkage import LINKAGES


def test_a_tree_for_which_there_is_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 16e9)
    assert memory.has_room(40_000)
    with pytest.raises(InputError) as caught:
        memory.check_room(100_000)
    assert str(caught.value) == (
        "prompts: 100000 different prompts are too many for one tree: clustering them takes 80 GB of memory, and "
        "this machine has 16 GB; split the set, or plan it on a machine with more memory."
    )


@pytest.mark.parametrize("linkage", LINKAGES)
def test_no_linkage_begins_where_the_memory_would_not_do(linkage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: memory.tree_bytes(5))
    rows = np.random.default_rng(0).normal(size=(6, 3))
    assert EmbeddingTree.from_embeddings(rows[:5], linkage).leaves == 5
    with pytest.raises(InputError, match="6 different prompts are too many"):
        EmbeddingTree.from_embeddings(rows, linkage)


@pytest.mark.parametrize(("limit", "is_less"), [("1000000\n", True), ("max\n", False), (None, False)])
def test_a_container_has_no_more_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, is_less: bool
) -> None:
    if limit:
        (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "memory.max")
    assert (memory.machine_bytes() == 1_000_000) is is_less
    assert memory.machine_bytes() > 0
