"""Which tokens say yes, and how likely they are."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hierflow.scoring.answer import answer_tokens, log_odds
from hierflow_tests.tiny_models.parts import pieces_tokenizer
from hierflow_tests.tiny_models.qwen_image import bytes_tokenizer


def test_every_spelling_of_yes_that_is_one_token_counts_and_nothing_else() -> None:
    words = ["Yes", " Yes", "yes", "YES\n", "Yesterday", "No", "Yes.", "ye"]
    tokenizer = bytes_tokenizer(words)
    found = {tokenizer.decode([token]) for token in answer_tokens(tokenizer, "Yes")}
    assert found == {"Yes", " Yes", "yes", "YES\n"}


def test_a_tokenizer_that_cuts_yes_to_pieces_has_no_token_for_it() -> None:
    assert answer_tokens(pieces_tokenizer(), "Yes") == []


def test_log_odds_are_those_of_the_summed_probability() -> None:
    chances = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.25, 0.125, 0.125]])
    odds = log_odds(chances.log() + 7, [0, 2])
    assert odds.tolist() == pytest.approx([math.log(0.4 / 0.6), math.log(0.625 / 0.375)], abs=1e-6)
    assert odds.dtype == torch.float64


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_of_two_tokens_they_are_the_difference_even_where_probabilities_round_to_one(yes: float, no: float) -> None:
    assert log_odds(torch.tensor([[yes, no]], dtype=torch.float64), [0]).item() == pytest.approx(yes - no)
