"""What `hierflow plan` says of edited prompts."""

from __future__ import annotations

from pathlib import Path

from hierflow.spec import ImageSetSpec
from hierflow.stages.overview.outlook import look_ahead
from hierflow.terminal.plan import describe_plan
from hierflow_tests.stages.runs import planned, spec_of, stage_of

TEXTS = {"A": "a red mug", "B": "a blue mug", "C": "a red chair", "D": "two green cats"}


def document(model: Path, folder: Path, texts: dict[str, str]) -> ImageSetSpec:
    """A set of a table with ids that survive edits."""
    (folder / "prompts.csv").write_text("sku,prompt\n" + "".join(f"{i},{text}\n" for i, text in texts.items()))
    return spec_of(model, prompts={"table": str(folder / "prompts.csv"), "id_column": "sku"}, storage=folder)


def told(spec: ImageSetSpec) -> tuple[list[str], dict[str, object]]:
    """The lines about edits, and the figures."""
    outlook = look_ahead(stage_of(spec))
    lines = [line.strip() for line in describe_plan(outlook).splitlines() if line.startswith("  edited ")]
    plain = outlook.as_json()
    return lines, {name: plain[f"prompts_{name}"] for name in ("edited", "new", "removed")}


def test_rows_are_edited_new_or_removed_by_their_ids(tiny_learned: Path, tmp_path: Path) -> None:
    planned(stage_of(document(tiny_learned, tmp_path, TEXTS)))
    dusk = {name: f"{text} at dusk" for name, text in TEXTS.items()}
    (line,), counts = told(document(tiny_learned, tmp_path, {**dusk, "A": TEXTS["A"]}))
    assert line.split(":")[0].split() == ["edited", "3", "edited"]
    assert counts == {"edited": 3, "new": 0, "removed": 0}

    mixed = {"A": "a red mug of tea", "B": TEXTS["B"], "C": TEXTS["C"], "E": "a lamp", "F": "a sofa"}
    (line,), counts = told(document(tiny_learned, tmp_path, mixed))
    assert line.split(":")[0].split(maxsplit=1)[1] == "1 edited, 2 new, 1 removed"
    assert counts == {"edited": 1, "new": 2, "removed": 1}


def test_where_nothing_is_edited_nothing_is_said_of_edits(tiny_learned: Path, tmp_path: Path) -> None:
    spec = document(tiny_learned, tmp_path, TEXTS)
    planned(stage_of(spec))
    assert told(spec) == ([], {"edited": 0, "new": 0, "removed": 0})


def test_a_prompt_that_two_rows_swap_is_neither_new_nor_removed(tiny_learned: Path, tmp_path: Path) -> None:
    planned(stage_of(document(tiny_learned, tmp_path, TEXTS)))
    swapped = {**TEXTS, "A": TEXTS["B"], "B": TEXTS["A"]}
    _, counts = told(document(tiny_learned, tmp_path, swapped))
    assert counts == {"edited": 2, "new": 0, "removed": 0}
