"""The rooms of the house: imports go one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import hierflow.stages

FOLDER = Path(hierflow.stages.__path__[0])
ROOMS = re.findall(r"^    (\w+)  ", hierflow.stages.__doc__ or "", re.MULTILINE)


def imported(source: str) -> Iterator[str]:
    """The rooms that a module imports, however it is written."""
    for node in ast.walk(ast.parse(source)):
        names = list[str]()
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("hierflow.stages.") and (room := name.split(".")[2]) in ROOMS:
                yield room


def test_every_way_to_write_an_import_is_seen() -> None:
    for written in (
        "from hierflow.stages.quality.pilot import pilot",
        "from hierflow.stages.quality import pilot",
        "from hierflow.stages import quality",
        "import hierflow.stages.quality.pilot as p",
        "def f():\n    from hierflow.stages.quality import pilot",
    ):
        assert list(imported(written)) == ["quality"]
    assert list(imported("from hierflow.stages.context import Stage\nimport quality")) == []


def test_every_room_is_told_of() -> None:
    assert sorted(ROOMS) == sorted(path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists())


def test_a_room_imports_those_above_it_and_no_others() -> None:
    for file in FOLDER.glob("*/*.py"):
        own = ROOMS.index(file.parent.name)
        for room in imported(file.read_text("utf-8")):
            assert ROOMS.index(room) <= own, f"{file.parent.name}/{file.name} imports {room}"


def test_what_all_rooms_share_imports_none() -> None:
    for file in FOLDER.glob("*.py"):
        assert not list(imported(file.read_text("utf-8"))), file.name
