"""The rooms of the house: imports go one way."""

from __future__ import annotations

import re
from pathlib import Path

import hierflow.stages

FOLDER = Path(hierflow.stages.__path__[0])
ROOMS = re.findall(r"^    (\w+)  ", hierflow.stages.__doc__ or "", re.MULTILINE)


def test_every_room_is_told_of() -> None:
    assert sorted(ROOMS) == sorted(path.name for path in FOLDER.iterdir() if (path / "__init__.py").exists())


def test_a_room_imports_those_above_it_and_no_others() -> None:
    for file in FOLDER.glob("*/*.py"):
        own = ROOMS.index(file.parent.name)
        for room in re.findall(r"from hierflow\.stages\.(\w+)\.", file.read_text("utf-8")):
            assert ROOMS.index(room) <= own, f"{file.parent.name}/{file.name} imports {room}"
