"""The page on models holds what the suite shows today."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.models.families import FAMILIES
from hierflow_tests.models.families.support import support

PAGE = Path(__file__).parents[3] / "docs" / "models.md"


def test_the_page_holds_the_table() -> None:
    assert support() in PAGE.read_text("utf-8"), (
        "docs/models.md is out of date: put in what `python -m hierflow_tests.models.families.support` prints"
    )


@pytest.mark.parametrize("pipeline", FAMILIES)
def test_every_family_has_a_section_and_a_document(pipeline: str) -> None:
    sections = PAGE.read_text("utf-8").split("\n## ")
    (section,) = [text for text in sections if text.startswith(f"{FAMILIES[pipeline].title}\n")]
    assert "```yaml\ndiffusion:" in section
    assert "clusters by" in section
