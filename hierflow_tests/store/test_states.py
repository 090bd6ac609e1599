"""States by id; one that is damaged counts as absent, and is listed."""

from __future__ import annotations

import pytest

from hierflow.hashing import text_hash
from hierflow.store.states import StateStore
from hierflow.store.storage import Storage
from hierflow_tests.store.damage import flip

torch = pytest.importorskip("torch")

ONE, TWO = text_hash("one"), text_hash("two")


def path_of(state: str) -> str:
    return f"states/{state[:2]}/{state}.safetensors"


def stored(storage: Storage, *states: str) -> StateStore:
    store = StateStore(storage)
    for number, state in enumerate(states):
        store.save(state, {"latents": torch.full((1, 2, 3), float(number))}, {"counters": {"step_index": number}})
    return StateStore(storage)


def test_a_state_comes_back_with_its_meta(storage: Storage) -> None:
    found = stored(storage, ONE, TWO).load(TWO)
    assert found is not None
    assert torch.equal(found[0]["latents"], torch.ones(1, 2, 3))
    assert found[1] == {"counters": {"step_index": 1}, "state": TWO}


def test_precisions_come_back_as_they_were(storage: Storage) -> None:
    latents = torch.arange(4, dtype=torch.bfloat16)
    store = StateStore(storage)
    store.save(ONE, {"latents": latents}, {})
    found = store.load(ONE)
    assert found is not None
    assert found[0]["latents"].dtype == torch.bfloat16
    assert torch.equal(found[0]["latents"], latents)


def test_a_store_knows_what_it_holds(storage: Storage) -> None:
    store = StateStore(storage)
    assert ONE not in store
    store.save(ONE, {"latents": torch.zeros(1)}, {})
    assert ONE in store
    assert TWO not in store
    assert store.load(TWO) is None
    assert store.damaged == set()


def test_states_of_another_worker_are_seen_after_a_refresh(storage: Storage) -> None:
    store = stored(storage, ONE)
    assert TWO not in store
    stored(storage, TWO)
    assert TWO not in store
    store.refresh()
    assert TWO in store


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_damaged_state_counts_as_absent_and_is_listed(storage: Storage, at: int) -> None:
    store = stored(storage, ONE, TWO)
    flip(storage, path_of(ONE), at)
    assert store.load(ONE) is None
    assert store.damaged == {ONE}
    assert ONE not in store
    assert TWO in store
    store.refresh()
    assert ONE not in store


def test_a_damaged_state_can_be_made_again(storage: Storage) -> None:
    store = stored(storage, ONE)
    flip(storage, path_of(ONE))
    store.load(ONE)
    store.save(ONE, {"latents": torch.ones(1)}, {})
    assert ONE in store
    assert store.damaged == set()
    assert store.load(ONE) is not None


def test_a_state_under_the_name_of_another_is_damaged(storage: Storage) -> None:
    store = stored(storage, ONE, TWO)
    storage.write(path_of(ONE), storage.read(path_of(TWO)))
    assert store.load(ONE) is None
    assert store.damaged == {ONE}


def test_a_state_that_was_pruned_meanwhile_is_absent_and_not_damaged(storage: Storage) -> None:
    store = stored(storage, ONE)
    assert ONE in store
    storage.delete(path_of(ONE))
    assert store.load(ONE) is None
    assert ONE not in store
    assert store.damaged == set()
