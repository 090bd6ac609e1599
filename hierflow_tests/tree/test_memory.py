"""What a tree takes, and machines that are too small for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from hierflow.errors import InputError
from hierflow.tree import EmbeddingTree, memory
from hierflow.tree.linkage import LINKAGES


def test_a_tree_for_which_there_is_too_little_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 16e9)
    assert memory.has_room(40_000)
    with pytest.raises(InputError) as caught:
        memory.check_room(100_000)
    assert str(caught.value) == (
        "prompts: 100000 different prompts are too many for one tree: clustering them takes 80 GB of memory, and "
        "16 GB are available; split the set, or plan it on a machine with more free memory."
    )


@pytest.mark.parametrize("linkage", LINKAGES)
def test_no_linkage_begins_where_the_memory_would_not_do(linkage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: memory.tree_bytes(5))
    rows = np.random.default_rng(0).normal(size=(6, 3))
    assert EmbeddingTree.from_embeddings(rows[:5], linkage).leaves == 5
    with pytest.raises(InputError, match="6 different prompts are too many"):
        EmbeddingTree.from_embeddings(rows, linkage)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("limited", ["", "slice", "slice/run"])
def test_a_control_group_has_what_its_limit_and_its_use_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, limited: str
) -> None:
    names, root = (memory.CGROUP_V1, tmp_path / "memory") if version == 1 else (memory.CGROUP_V2, tmp_path)
    limit_file, usage_file, reclaimable = names
    for folder, limit in (("slice/run", "max"), ("slice", str(2**63 - 4096)), (limited, "10000000")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / limit_file).write_text(f"{limit}\n")
        (root / folder / usage_file).write_text("4000000\n")
        (root / folder / "memory.stat").write_text(f"cache 5\n{reclaimable} 1000000\n")
    membership = "3:cpu,memory:/slice/run\n1:name=systemd:/\n" if version == 1 else "0::/slice/run\n"
    (tmp_path / "self").write_text(membership)
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "self")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert memory.available_bytes() == 7_000_000


def test_a_full_control_group_has_nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in zip(memory.CGROUP_V2, ("1000", "3000", ""), strict=True):
        (tmp_path / name).write_text(text)
    (tmp_path / "memory.stat").write_text("anon 3000\n")
    (tmp_path / "self").write_text("0::/a/path/of/the/host\n")
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "self")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    assert memory.available_bytes() == 0


def test_what_this_process_holds_is_not_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "MEMBERSHIP", tmp_path / "not Linux")
    held = np.ones(10_000_000)
    assert 0 < memory.available_bytes() <= psutil.virtual_memory().total - held.nbytes
