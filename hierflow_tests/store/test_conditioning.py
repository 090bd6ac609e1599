"""The conditioning cache: what the encoders made, made once."""

from __future__ import annotations

import numpy as np

from hierflow.store.conditioning import ConditioningCache, stacked
from hierflow.store.storage import Storage
from hierflow_tests.store.damage import flip

ENCODER, OTHER = "e" * 64, "f" * 64


def rows(*values: float) -> dict[str, np.ndarray]:
    """Two arrays, a row a prompt."""
    column = np.array(values, dtype=np.float32)[:, None]
    return {"embeds": column * np.ones((1, 3), np.float32), "pooled": column}


def test_each_prompt_comes_back_without_the_row_axis(storage: Storage) -> None:
    ConditioningCache(storage, ENCODER).write(["a", "b"], rows(1, 2))
    ConditioningCache(storage, ENCODER).write(["c"], rows(3))
    found = ConditioningCache(storage, ENCODER).read(["c", "a", "missing"])
    assert found.keys() == {"a", "c"}
    assert found["c"]["embeds"].tolist() == [3, 3, 3]
    assert found["a"]["pooled"].tolist() == [1]


def test_another_encoder_sees_none_of_it(storage: Storage) -> None:
    ConditioningCache(storage, ENCODER).write(["a"], rows(1))
    assert ConditioningCache(storage, OTHER).read(["a"]) == {}


def test_a_damaged_shard_costs_its_own_prompts_and_is_listed(storage: Storage) -> None:
    cache = ConditioningCache(storage, ENCODER)
    cache.write(["a", "b"], rows(1, 2))
    (shard,) = storage.list("conditioning")
    cache.write(["c"], rows(3))
    flip(storage, shard)
    assert cache.read(["a", "b", "c"]).keys() == {"c"}
    assert cache.damaged == [shard]


def test_a_damaged_shard_is_mended_by_writing_it_again(storage: Storage) -> None:
    cache = ConditioningCache(storage, ENCODER)
    cache.write(["a", "b"], rows(1, 2))
    flip(storage, storage.list("conditioning")[0])
    cache.write(["a", "b"], rows(1, 2))
    assert ConditioningCache(storage, ENCODER).read(["a", "b"]).keys() == {"a", "b"}


def test_an_empty_cache_holds_nothing(storage: Storage) -> None:
    assert ConditioningCache(storage, ENCODER).read(["a"]) == {}
    assert ConditioningCache(storage, ENCODER).read([]) == {}


def test_stacking_gives_a_row_a_prompt_in_order() -> None:
    made = rows(1, 2)
    parted = [{name: array[row] for name, array in made.items()} for row in (1, 0)]
    assert stacked(parted)["pooled"].tolist() == [[2], [1]]
    assert stacked(parted)["embeds"].shape == (2, 3)
