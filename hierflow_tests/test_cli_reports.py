"""What a run says of reports that could not be written, and of a set that it came to no plan for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.stages.reports import image_set
from hierflow_tests.image_sets import FOUR, command, write_document


def test_only_what_is_there_is_named_and_without_a_plan_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    document = write_document(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(image_set, "assemble", full)
        ended = command("run", document)
    assert ended.code == 1
    assert "4 of 4 prompts" in ended.stdout
    assert "No space left on device" in ended.stdout
    assert not [name for name in ("gallery", "manifest") if f"\n  {name} " in ended.stdout]
    found = command("status", document, "--json").json
    assert (found["images"], found["gallery"], found["manifest"]) == (4, None, None)
    assert "gallery" not in command("status", document).stdout

    for tree in (tmp_path / "out/trial/trees").iterdir():
        tree.unlink()
    ended = command("run", document)
    assert ended.code == 1
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["trial", "time", "failed:"]
    found = command("run", document, "--json").json
    assert (found["prompts"], found["wanted"], found["gallery"]) == (4, len(FOUR), None)
    assert "--rebuild" in found["error"]
