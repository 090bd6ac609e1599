"""Where a document's relative storage path leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.stages.context import storage_url
from hierflow_tests.stages.runs import spec_of


def test_relative_paths_are_relative_to_the_document(tmp_path: Path) -> None:
    assert storage_url(spec_of("mini", storage="./out"), tmp_path) == str(tmp_path / "out")
    assert storage_url(spec_of("mini", storage="memory://x"), tmp_path) == "memory://x"
    assert storage_url(spec_of("mini", storage="~/x"), tmp_path) == str(Path.home() / "x")


@pytest.mark.parametrize("path", ["a" * 5000, "a\0b", "~nobody-of-that-name/x"], ids=["long", "nul", "no home"])
def test_a_path_no_file_system_could_hold_is_the_users_fault(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"storage\.path: .* is not a path .*; give a folder") as caught:
        storage_url(spec_of("mini", storage=path), tmp_path)
    assert len(str(caught.value)) < 500
