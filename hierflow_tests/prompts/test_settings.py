"""Seeds, sizes and negative prompts that rows set for their own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierflow.errors import InputError
from hierflow.prompts import PromptSet, PromptSource, load_prompts
from hierflow.prompts.settings import RowSettings


def of_table(folder: Path, text: str, **source: Any) -> PromptSet:
    (folder / "t.csv").write_text(text, "utf-8")
    return load_prompts(PromptSource(table="t.csv", **source), folder)


def test_columns_of_these_names_are_settings_and_no_labels(tmp_path: Path) -> None:
    prompts = of_table(
        tmp_path,
        "prompt,campaign,seed,negative_prompt,image_width,image_height\n"
        "a mug,spring,7, blur ,64,32\na hat,autumn,,,,\n",
    )
    assert list(prompts.columns) == ["campaign"]
    assert prompts.settings == (RowSettings(7, "blur", 64, 32), RowSettings())
    assert prompts.settings_of(0).seed == 7


def test_a_column_of_blanks_sets_nothing(tmp_path: Path) -> None:
    blank, none = of_table(tmp_path, "prompt,seed\na mug,\na hat, \n"), of_table(tmp_path, "prompt\na mug\na hat\n")
    assert blank == none
    assert blank.content_hash == none.content_hash


def test_one_text_with_two_settings_is_two_prompts(tmp_path: Path) -> None:
    prompts = of_table(tmp_path, "prompt,seed\na mug,\na mug,1\na mug,2\na mug,1\n")
    assert [row.seed for row in prompts.settings] == [None, 1, 2]
    assert len(set(prompts.ids)) == 3
    assert prompts.ids[0] == of_table(tmp_path, "prompt\na mug\n").ids[0]


def test_one_id_with_two_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2, line 3: 'm' is the id of another prompt too"):
        of_table(tmp_path, "id,prompt,seed\nm,a mug,1\nm,a mug,2\n", id_column="id")


def test_an_axis_of_seeds_need_not_stand_in_the_template() -> None:
    source = PromptSource(template="a {color} mug", axes={"color": ["red", "blue"], "seed": ["0", "1"]})
    prompts = load_prompts(source, ".")
    assert prompts.texts == ("a red mug", "a red mug", "a blue mug", "a blue mug")
    assert [row.seed for row in prompts.settings] == [0, 1, 0, 1]
    assert list(prompts.columns) == ["color"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seed", "-1"),
        ("seed", "x"),
        ("seed", "1.5"),
        ("seed", str(2**63)),
        ("image_width", "0"),
        ("image_height", "7"),
    ],
)
def test_what_is_no_such_number_is_named_by_row_and_column(tmp_path: Path, column: str, value: str) -> None:
    with pytest.raises(InputError) as found:
        of_table(tmp_path, f"prompt,{column}\na mug,\na hat,{value}\n")
    assert f"t.csv: row 2, line 3, column {column}: '{value}' is not a " in str(found.value)
    assert "leave it blank, or rename the column" in str(found.value)


@pytest.mark.parametrize("value", [True, 1.5, float("inf")])
def test_a_parquet_cell_that_is_no_whole_number_is_refused(tmp_path: Path, value: Any) -> None:
    pq.write_table(pa.table({"prompt": ["a mug"], "seed": [value]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="is not a seed"):
        load_prompts(PromptSource(table="t.parquet"), tmp_path)


def test_nulls_and_nan_of_a_parquet_table_are_blank(tmp_path: Path) -> None:
    seeds, widths = [3, None], [64.0, float("nan")]
    pq.write_table(
        pa.table({"prompt": ["a mug", "a hat"], "seed": seeds, "image_width": widths}), tmp_path / "t.parquet"
    )
    prompts = load_prompts(PromptSource(table="t.parquet"), tmp_path)
    assert prompts.settings == (RowSettings(seed=3, image_width=64), RowSettings())


def test_settings_come_back_from_the_store_and_count_as_content(tmp_path: Path) -> None:
    one = of_table(tmp_path, "id,prompt,seed,negative_prompt\nm,a mug,1,blur\nh,a hat,,\n", id_column="id")
    other = of_table(tmp_path, "id,prompt,seed,negative_prompt\nm,a mug,2,blur\nh,a hat,,\n", id_column="id")
    assert PromptSet.from_table(one.to_table()) == one
    assert one.content_hash != other.content_hash
