"""The conditioning cache: what the encoders made, made once."""

from __future__ import annotations

import numpy as np
import pytest

from hierflow.store import conditioning
from hierflow.store.conditioning import ConditioningCache, stacked
from hierflow.store.storage import Storage
from hierflow_tests.store.damage import flip

ENCODER, OTHER = "e" * 64, "f" * 64


def rows(*values: float) -> dict[str, np.ndarray]:
    """Two arrays, a row a prompt."""
    column = np.array(values, dtype=np.float32)[:, None]
    return {"embeds": column * np.ones((1, 3), np.float32), "pooled": column}


def cache(storage: Storage, maker: str = ENCODER) -> ConditioningCache:
    return ConditioningCache(storage, "conditioning", maker)


def test_each_prompt_comes_back_without_the_row_axis(storage: Storage) -> None:
    cache(storage).write(["a", "b"], rows(1, 2))
    cache(storage).write(["c"], rows(3))
    found = cache(storage).read(["c", "a", "missing"])
    assert found.keys() == {"a", "c"}
    assert found["c"]["embeds"].tolist() == [3, 3, 3]
    assert found["a"]["pooled"].tolist() == [1]


def test_another_encoder_or_folder_sees_none_of_it(storage: Storage) -> None:
    cache(storage).write(["a"], rows(1))
    assert cache(storage, OTHER).read(["a"]) == {}
    assert ConditioningCache(storage, "embeddings", ENCODER).held() == set()


def test_a_damaged_shard_costs_its_own_prompts_and_is_listed(storage: Storage) -> None:
    own = cache(storage)
    own.write(["a", "b"], rows(1, 2))
    (shard,) = storage.list("conditioning")
    own.write(["c"], rows(3))
    flip(storage, shard)
    assert own.read(["a", "b", "c"]).keys() == {"c"}
    assert own.damaged == [shard]
    assert own.held() == {"c"}
    own.forget_damaged()
    assert not storage.exists(shard)


def test_what_is_held_is_known_by_the_heads_alone(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{place:064}" for place in range(600)]  # a head of more than what is read at first
    cache(storage).write(texts, rows(*range(600)) | {"large": np.random.default_rng(0).normal(size=(600, 400))})
    taken: list[int] = []
    read = Storage.read

    def noted(self: Storage, path: str, end: int | None = None) -> bytes:
        data = read(self, path, end)
        taken.append(len(data))
        return data

    monkeypatch.setattr(Storage, "read", noted)
    assert cache(storage).held() == set(texts)
    assert 0 < sum(taken) < 120_000


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_file_that_ends_early_is_not_held(storage: Storage, keep: int) -> None:
    cache(storage).write(["a", "b"], rows(1, 2))
    (shard,) = storage.list("conditioning")
    storage.write(shard, storage.read(shard)[:keep])
    own = cache(storage)
    assert own.held() == set()
    assert own.damaged == [shard]


def test_a_damaged_shard_is_mended_by_writing_it_again(storage: Storage) -> None:
    cache(storage).write(["a", "b"], rows(1, 2))
    flip(storage, storage.list("conditioning")[0])
    cache(storage).write(["a", "b"], rows(1, 2))
    assert cache(storage).read(["a", "b"]).keys() == {"a", "b"}


def test_an_empty_cache_holds_nothing(storage: Storage) -> None:
    assert cache(storage).read(["a"]) == {}
    assert cache(storage).read([]) == {}


def test_a_shard_is_no_larger_than_what_is_read_for_one_prompt(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditioning, "SHARD_BYTES", 1000)
    large = np.random.default_rng(0).normal(size=(7, 50)).astype(np.float32)
    cache(storage).write([*"abcdefg"], {"embeds": large})
    assert [len(texts) for texts in cache(storage).shards().values()].count(5) == 1
    found = cache(storage).read([*"abcdefg"])
    assert all(np.array_equal(found[text]["embeds"], row) for text, row in zip("abcdefg", large, strict=True))


def test_what_all_prompts_have_alike_is_held_once_and_is_one_object(storage: Storage) -> None:
    own = np.random.default_rng(0).normal(size=(8, 500)).astype(np.float32)
    same = np.repeat(np.random.default_rng(1).normal(size=(1, 500)).astype(np.float32), 8, axis=0)
    store = cache(storage)
    for start in (0, 4):
        texts = [*"abcdefgh"][start : start + 4]
        store.write(texts, {"embeds": own[start : start + 4], "negative_embeds": same[start : start + 4]})
    assert sum(storage.sizes("conditioning").values()) < 8 * 2000 + 2 * 2000 + 3000
    found = dict(store.rows([*"abcdefgh"]))
    assert len({id(row["negative_embeds"]) for row in found.values()}) == 1
    assert id(found["a"]["negative_embeds"]) in store.common
    assert id(found["a"]["embeds"]) not in store.common
    assert np.array_equal(store.read(["f"])["f"]["negative_embeds"], same[0])


def test_stacking_gives_a_row_a_prompt_in_order() -> None:
    made = rows(1, 2)
    parted = [{name: array[row] for name, array in made.items()} for row in (1, 0)]
    assert stacked(parted)["pooled"].tolist() == [[2], [1]]
    assert stacked(parted)["embeds"].shape == (2, 3)
