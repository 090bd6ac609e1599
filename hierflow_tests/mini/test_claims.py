"""What the yes/no judge is asked about in training."""

from __future__ import annotations

import numpy as np
import pytest

from hierflow.mini.catalogue.grammar import Attributes, is_held_out, parse_prompt, random_attributes
from hierflow.mini.training.claims import changed, random_claim

RED_MUG = Attributes(product=0, color=0, pattern=1, background=2, style=3)


def contradicted(prompt: str, truth: Attributes) -> list[int]:
    said = parse_prompt(prompt)
    return [column for column in range(5) if said[column] is not None and said[column] != truth[column]]


def test_true_claims_are_true_and_false_ones_are_mostly_wrong_in_one_attribute() -> None:
    rng = np.random.default_rng(0)
    assert not any(contradicted(random_claim(RED_MUG, rng, true=True).prompt, RED_MUG) for _ in range(200))
    wrong = [len(contradicted(random_claim(RED_MUG, rng, true=False).prompt, RED_MUG)) for _ in range(400)]
    assert min(wrong) == 1
    assert np.mean(np.array(wrong) == 1) > 0.8


def test_every_attributes_last_word_is_marked_as_true_or_false() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        prompt, words = random_claim(RED_MUG, rng, true=False)
        assert len(words) == sum(value is not None for value in parse_prompt(prompt))
        assert list(words.values()).count(False) == len(contradicted(prompt, RED_MUG))


def test_no_claim_names_a_held_out_combination_in_full() -> None:
    # Such prompts would only ever be false, and the judge could tell them by that.
    rng = np.random.default_rng(2)
    for _ in range(600):
        said = parse_prompt(random_claim(random_attributes(rng), rng, true=bool(rng.integers(2))).prompt)
        assert None in said or not is_held_out(Attributes(*said))


@pytest.mark.parametrize("column", range(5))
def test_a_changed_attribute_takes_every_other_value(column: int) -> None:
    rng = np.random.default_rng(3)
    found = {changed(RED_MUG, column, rng) for _ in range(300)}
    assert all(sum(a != b for a, b in zip(one, RED_MUG, strict=True)) == 1 for one in found)
    assert {one[column] for one in found} == set(range((12, 10, 4, 8, 5)[column])) - {RED_MUG[column]}
