"""What every summary begins with."""

from __future__ import annotations

import pytest

from hierflow.terminal.summary import images


@pytest.mark.parametrize(
    ("made", "wanted", "says"),
    [
        (4, 4, "4 of 4 prompts"),
        (3, 4, "3 of 4 prompts (incomplete)"),
        (8, 8, "8 of 8, of 4 prompts"),
        (7, 8, "7 of 8, of 4 prompts (incomplete)"),
    ],
)
def test_images_are_counted_against_images(made: int, wanted: int, says: str) -> None:
    found = {"images": made, "wanted": wanted, "prompts": 4, "complete": made == wanted}
    assert images(found) == says
