"""Diversity: hand-computed values, and the bounds that the measures promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hierflow.scoring.diversity import mean_pairwise_similarity, vendi_score

rows = st.tuples(st.integers(2, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-5, 5))
)
sets = rows.filter(lambda made: (np.linalg.norm(made, axis=1) > 1e-3).all())


def test_similarity_is_the_mean_over_pairs_of_different_images() -> None:
    embeddings = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 2.0]])  # cosines 0, 1/sqrt 2, 1/sqrt 2
    assert mean_pairwise_similarity(embeddings) == pytest.approx(np.sqrt(2) / 3)


def test_vendi_counts_orthogonal_images_and_copies_once() -> None:
    assert vendi_score(np.eye(4)) == pytest.approx(4)
    assert vendi_score(np.ones((5, 3))) == pytest.approx(1)
    assert vendi_score(np.repeat(np.eye(3), 4, axis=0)) == pytest.approx(3)


def test_vendi_of_two_images_is_that_of_a_coin() -> None:
    """K / 2 has eigenvalues (1 + c) / 2 and (1 - c) / 2; with c = .6 these are .8 and .2."""
    embeddings = np.array([[1.0, 0.0], [0.6, 0.8]])
    assert vendi_score(embeddings) == pytest.approx(0.8**-0.8 * 0.2**-0.2)


@given(sets)
def test_vendi_lies_between_one_and_the_number_of_images_and_of_dimensions(embeddings: np.ndarray) -> None:
    score = vendi_score(embeddings)
    assert 1 - 1e-9 <= score <= min(embeddings.shape) + 1e-9


@given(sets)
def test_neither_lengths_nor_copies_of_the_whole_set_change_vendi(embeddings: np.ndarray) -> None:
    scaled = embeddings * np.arange(1, len(embeddings) + 1)[:, None]
    assert vendi_score(scaled) == pytest.approx(vendi_score(embeddings))
    assert vendi_score(np.concatenate([embeddings, embeddings])) == pytest.approx(vendi_score(embeddings))


@given(sets)
def test_similarity_is_what_a_loop_over_pairs_finds(embeddings: np.ndarray) -> None:
    units = [row / np.linalg.norm(row) for row in embeddings]
    cosines = [one @ other for i, one in enumerate(units) for other in units[:i]]
    assert mean_pairwise_similarity(embeddings) == pytest.approx(np.mean(cosines), abs=1e-9)


def test_what_has_no_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="has no direction"):
        vendi_score(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="at least two images, not 1"):
        mean_pairwise_similarity(np.ones((1, 2)))
    with pytest.raises(ValueError, match="at least one image"):
        vendi_score(np.ones((0, 2)))
