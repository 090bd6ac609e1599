"""File names are safe on every file system, whatever the text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierflow.images import image_name, slug

STATE = "0123456789abcdef" * 4
DEVICES = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}


@given(st.text(), st.integers(6, 60))
def test_a_slug_is_short_ascii_with_inner_dashes_only(text: str, limit: int) -> None:
    short = slug(text, limit)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", short)
    assert len(short) <= limit
    assert short not in DEVICES


@given(st.text(), st.integers(0, 99))
def test_an_image_name_has_no_separator_and_no_leading_dot(prompt_id: str, index: int) -> None:
    name = image_name(prompt_id, STATE, index)
    assert re.fullmatch(rf"[a-z0-9-]+-0123456789ab-{index}\.png", name)
    assert not name.startswith(("-", "."))
    assert len(name) < 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Red Mug, on a table!", "a-red-mug-on-a-table"),
        ("Crème brûlée", "creme-brulee"),
        ("Straße", "strasse"),
        ("the chef's ﬁsh", "the-chefs-fish"),
        ("photo—of a cat", "photo-of-a-cat"),
        ("../../etc/passwd", "etc-passwd"),
        ("猫", "prompt"),
        ("🐈", "prompt"),
        ("", "prompt"),
        ("CON", "con-x"),
        ("lpt1", "lpt1-x"),
        ("com¹", "com1-x"),
        ("conch", "conch"),
    ],
)
def test_slugs_read_like_their_text(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_a_cut_does_not_leave_a_dash_at_the_end() -> None:
    assert slug("abcde fgh", 6) == "abcde"


def test_states_and_indices_keep_names_apart() -> None:
    names = {image_name("猫", STATE, 0), image_name("猫", STATE, 1), image_name("犬", STATE[1:] + "0", 0)}
    assert len(names) == 3


@pytest.mark.parametrize("state_id", ["", "0123", "../../../../x", STATE.upper()])
def test_a_wrong_state_id_is_refused(state_id: str) -> None:
    with pytest.raises(ValueError, match="not a state id"):
        image_name("cat", state_id, 0)


def test_limits_and_indices_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        slug("cat", 5)
    with pytest.raises(ValueError, match="counts from 0"):
        image_name("cat", STATE, -1)
