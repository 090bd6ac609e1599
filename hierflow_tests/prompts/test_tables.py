"""Prompts from CSV and parquet."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierflow.errors import InputError
from hierflow.hashing import text_hash
from hierflow.prompts import PromptSet, PromptSource, load_prompts


def save(folder: Path, content: str | dict[str, Any] | pa.Table) -> str:
    if isinstance(content, str):
        (folder / "t.csv").write_text(content, newline="")
        return "t.csv"
    table = content if isinstance(content, pa.Table) else pa.table(content)
    pq.write_table(table, folder / "t.parquet")
    return "t.parquet"


def load(folder: Path, content: str | dict[str, Any] | pa.Table, **fields: str) -> PromptSet:
    return load_prompts(PromptSource(table=save(folder, content), **fields), folder)


def fault(folder: Path, content: str | dict[str, Any] | pa.Table, **fields: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, content, **fields)
    return str(caught.value).replace(f"{folder}/", "")


# ---- what is read ----------------------------------------------------------------------------------------


def test_csv_cells_stay_text(tmp_path: Path) -> None:
    prompts = load(tmp_path, "sku,prompt,size\n007,a dog,1.50\n1e3,a cat,\n", id_column="sku")
    assert prompts.ids == ("007", "1e3")
    assert prompts.columns == {"size": ("1.50", "")}


def test_csv_quotes_spaces_blank_lines_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    text = '\ufeffprompt , note\r\n"a ""red"", small dog", x\r\n\r\na cat,"y\nz"\r\n'
    prompts = load(tmp_path, text)
    assert prompts.texts == ('a "red", small dog', "a cat")
    assert prompts.columns == {"note": ("x", "y\nz")}


def test_parquet_keeps_types_and_column_order(tmp_path: Path) -> None:
    day = datetime.date(2024, 5, 1)
    prompts = load(
        tmp_path, {"z": [1, None], "caption": ["a dog", "a cat"], "a": [day, day]}, prompt_column="caption"
    )
    assert list(prompts.columns.items()) == [("z", (1, None)), ("a", (day, day))]


def test_parquet_reads_dictionary_text_and_whole_number_ids(tmp_path: Path) -> None:
    content = {"id": [7, 8], "prompt": pa.array(["a dog", "a cat"]).dictionary_encode()}
    prompts = load(tmp_path, content, id_column="id")
    assert (prompts.ids, prompts.texts) == (("7", "8"), ("a dog", "a cat"))


def test_a_folder_named_like_a_hive_partition_adds_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "style=photo"
    folder.mkdir()
    assert load(folder, {"prompt": ["a dog"]}).columns == {}


def test_the_suffix_may_be_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "T.CSV").write_text("prompt\na dog\n")
    assert load_prompts(PromptSource(table="T.CSV"), tmp_path).texts == ("a dog",)


# ---- ids -------------------------------------------------------------------------------------------------


def test_given_ids_survive_an_edit_of_their_prompt(tmp_path: Path) -> None:
    before = load(tmp_path, "id,prompt\na,a dog\nb,a cat\n", id_column="id")
    after = load(tmp_path, "id,prompt\na,a red dog\nb,a cat\n", id_column="id")
    assert before.ids == after.ids
    assert before.texts != after.texts


def test_given_ids_keep_a_row_each_for_one_text(tmp_path: Path) -> None:
    prompts = load(tmp_path, "id,prompt\na,a dog\nb,a dog\n", id_column="id")
    assert (prompts.ids, prompts.texts, prompts.distinct) == (("a", "b"), ("a dog", "a dog"), ("a dog",))


def test_a_row_that_repeats_another_one_exactly_is_dropped_and_counted(tmp_path: Path) -> None:
    prompts = load(tmp_path, "id,prompt,n\na,a dog,1\nb,a cat,2\na,a dog ,1\n", id_column="id")
    assert (prompts.ids, prompts.columns, prompts.repetitions) == (("a", "b"), {"n": ("1", "2")}, 1)
    prompts = load(tmp_path, {"prompt": ["a dog"] * 3, "n": [math.nan, 1.0, math.nan]})
    assert (len(prompts), prompts.repetitions) == (2, 1)


def test_without_ids_rows_of_one_text_with_other_labels_are_rows_of_their_own(tmp_path: Path) -> None:
    prompts = load(tmp_path, "sku,prompt\nA1,a red mug\nB2,a red mug\nC3,a blue mug\nB2,a red mug\n")
    assert prompts.columns == {"sku": ("A1", "B2", "C3")}
    assert prompts.repetitions == 1
    assert len(set(prompts.ids)) == 3


def test_without_ids_a_row_keeps_its_id_as_rows_of_its_text_follow(tmp_path: Path) -> None:
    before = load(tmp_path, "sku,prompt\nA1,a red mug\nB2,a red mug\n").ids
    columns_and_rows = "market,prompt,sku\n,a red mug,A1\n,a red mug,B2\n,a red mug,C3\n"
    assert before[0] == text_hash("a red mug")[:16]
    assert load(tmp_path, "sku,prompt\nA1,a red mug\nB2,a red mug\nC3,a red mug\n").ids[:2] == before
    assert load(tmp_path, columns_and_rows).ids[0] == before[0]


def test_the_order_of_columns_is_in_no_id(tmp_path: Path) -> None:
    one = load(tmp_path, "sku,market,prompt\nA1,US,a red mug\nB2,DE,a red mug\n")
    assert load(tmp_path, "market,prompt,sku\nUS,a red mug,A1\nDE,a red mug,B2\n").ids == one.ids


def test_an_id_of_rows_with_other_labels_is_refused(tmp_path: Path) -> None:
    message = fault(tmp_path, "sku,prompt,campaign\nA1,a mug,spring\nA1,a mug,autumn\n", id_column="sku")
    assert message.startswith("t.csv: row 2, line 3: 'A1' is the id of another row too (row 1, line 2); ")
    assert message.endswith("give each row an id of its own, or leave out id_column.")


def test_an_id_of_two_texts_is_refused_with_both_places(tmp_path: Path) -> None:
    message = fault(tmp_path, "id,prompt\n\na,a dog\nb,a cat\na,a cow\n", id_column="id")
    assert message.startswith("t.csv: row 3, line 5: 'a' is the id of another prompt too (row 1, line 3); ")


@pytest.mark.parametrize("prompt_id", ["../../x", "ключ", "a/b", "C:\\x", "con", "{x}", "a b"])
def test_an_id_may_be_any_text(tmp_path: Path, prompt_id: str) -> None:
    assert load(tmp_path, {"id": [prompt_id], "prompt": ["a dog"]}, id_column="id").ids == (prompt_id,)


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_missing_id_is_named_by_its_row(tmp_path: Path, blank: str | None) -> None:
    content = {"id": ["a", blank], "prompt": ["a dog", "a cat"]}
    assert "t.parquet: row 2, column id: " in fault(tmp_path, content, id_column="id")
    csv = f"id,prompt\na,a dog\n{blank or ''},a cat\n"
    assert "t.csv: row 2, line 3, column id: '' is a missing id" in fault(tmp_path, csv, id_column="id")


@pytest.mark.parametrize("value", [1.5, True, b"x", datetime.date(2024, 1, 1)])
def test_ids_without_one_spelling_are_refused(tmp_path: Path, value: object) -> None:
    message = fault(tmp_path, {"id": [value], "prompt": ["a dog"]}, id_column="id")
    assert "row 1, column id" in message
    assert "is neither text nor a whole number; save the ids as text." in message


# ---- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["Prompt,id\na dog,1\n", {"Prompt": ["a dog"], "id": ["1"]}])
def test_a_missing_prompt_column_is_named_with_those_there_are(tmp_path: Path, content: Any) -> None:
    message = fault(tmp_path, content)
    assert message.startswith("prompts.prompt_column: 'prompt' is not a column of t.")
    assert message.endswith("name one of its columns (Prompt, id).")


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_cells_that_commas_do_not_separate_are_told_of(tmp_path: Path, sign: str) -> None:
    message = fault(tmp_path, f"id{sign}prompt\n1{sign}a dog\n")
    assert f"separate its cells by commas or begin it with the line 'sep={sign}'" in message
    assert message.endswith(f"(it has one column, {f'id{sign}prompt'!r}).")


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["sep={}\r\n", '\ufeff"sep={}"\n'])
def test_the_first_line_of_excel_says_what_separates_cells(tmp_path: Path, sign: str, first: str) -> None:
    text = f"{first.format(sign)}id{sign}prompt\n1{sign}a dog\n2{sign}a cat{sign}x\n"
    assert "t.csv: row 2, line 4: has 3 cells" in fault(tmp_path, text, id_column="id")
    prompts = load(tmp_path, text.replace(f"{sign}x", ""), id_column="id")
    assert (prompts.ids, prompts.texts) == (("1", "2"), ("a dog", "a cat"))


def test_a_missing_id_column_is_named(tmp_path: Path) -> None:
    assert "prompts.id_column: 'sku' is not a column of t.csv" in fault(tmp_path, "prompt\na dog\n", id_column="sku")


def test_the_prompt_column_cannot_be_the_id_column(tmp_path: Path) -> None:
    assert "prompts.id_column: 'prompt' is the prompt column too" in fault(
        tmp_path, "prompt\na dog\n", id_column="prompt"
    )


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("prompt,n\na dog,1\n ,2\n", "t.csv: row 2, line 3: "),
        ({"prompt": ["a dog", None], "n": [1, 2]}, "t.parquet: row 2: "),
        ({"prompt": ["a dog", " "], "n": [1, 2]}, "t.parquet: row 2: "),
    ],
)
def test_a_blank_prompt_is_named_by_its_row(tmp_path: Path, content: Any, place: str) -> None:
    assert fault(tmp_path, content).startswith(f"{place}'' is a blank prompt; ")


def test_a_prompt_column_of_numbers_is_refused(tmp_path: Path) -> None:
    message = fault(tmp_path, {"prompt": [None, 3]})
    assert message.startswith("t.parquet: row 2, column prompt: 3 is not text; ")


@pytest.mark.parametrize("content", ["prompt,run_id\na dog,1\n", {"prompt": ["a dog"], "run_id": [1]}])
def test_a_column_of_the_manifest_is_refused(tmp_path: Path, content: Any) -> None:
    assert "'run_id' is a column of the manifest too; rename" in fault(tmp_path, content)


def test_a_prompt_column_beside_the_one_named_is_refused(tmp_path: Path) -> None:
    message = fault(tmp_path, "prompt,caption\nx,a dog\n", prompt_column="caption")
    assert "t.csv: 'prompt' is a column of the manifest too" in message


@pytest.mark.parametrize(
    "content",
    ["prompt,a,a\nx,1,2\n", pa.table([["x"], [1], [2]], names=["prompt", "a", "a"])],
)
def test_two_columns_of_one_name_are_refused(tmp_path: Path, content: Any) -> None:
    assert "'a' names two columns; rename one of them." in fault(tmp_path, content)


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    assert fault(tmp_path, ",prompt\n0,a dog\n").startswith("t.csv: column 1: has no name; ")


def test_a_row_with_too_many_cells_is_named(tmp_path: Path) -> None:
    message = fault(tmp_path, "prompt,n\na cat,1\na small, red dog,1\n")
    assert message.startswith("t.csv: row 2, line 3: has 3 cells under 2 column names; ")
    assert message.endswith("put a cell that holds ',' in double quotes.")


def test_a_row_with_too_few_cells_is_named(tmp_path: Path) -> None:
    message = fault(tmp_path, "prompt,n,m\na cat,1,2\na dog\n")
    assert message.startswith("t.csv: row 2, line 3: has 1 cell under 3 column names: cells are missing; ")
    assert "quotes" not in message


def test_rows_whose_cells_are_all_blank_are_left_out(tmp_path: Path) -> None:
    prompts = load(tmp_path, "id,prompt,n\n1,a dog,1\n,,\n , \n2,a cat,\n,,,,\n", id_column="id")
    assert (prompts.ids, prompts.columns) == (("1", "2"), {"n": ("1", "")})
    table = {"id": [1.0, math.nan, 2.0], "prompt": ["a dog", None, "a cat"], "n": ["1", " ", None]}
    prompts = load(tmp_path, table, id_column="id")
    assert (prompts.ids, prompts.columns) == (("1", "2"), {"n": ("1", None)})
    table["prompt"][2] = " "
    assert fault(tmp_path, table, id_column="id").startswith("t.parquet: row 3: '' is a blank prompt")


FLOATS = {"id": [41.0, 42.0], "prompt": ["a dog", "a cat"], "seed": [7.0, math.nan], "image_width": [math.nan, 64.0]}
"""What pandas makes of whole numbers beside blanks, in parquet and in CSV."""
FLOATS_IN_CSV = "id,prompt,seed,image_width\n41.0,a dog,7.0,\n42.0,a cat,,64.0\n"


@pytest.mark.parametrize("content", [FLOATS, FLOATS_IN_CSV])
def test_whole_numbers_may_be_floats_in_either_format(tmp_path: Path, content: Any) -> None:
    prompts = load(tmp_path, content, id_column="id")
    assert prompts.ids == ("41", "42")
    assert [(row.seed, row.image_width) for row in prompts.settings] == [(7, None), (None, 64)]


@pytest.mark.parametrize(
    ("number", "field"),
    [("7.5", "seed"), ("1_000", "seed"), ("9007199254740994.0", "seed"), ("-1", "seed"), ("4.0", "image_width")],
)
def test_other_numbers_are_refused_in_either_format(tmp_path: Path, number: str, field: str) -> None:
    assert f"line 2, column {field}: " in fault(tmp_path, f"prompt,{field}\na dog,{number}\n")
    if "_" not in number:
        assert f"row 1, column {field}: " in fault(tmp_path, {"prompt": ["a dog"], field: [float(number)]})


def test_ids_that_are_no_column_of_whole_numbers_stay_as_they_are(tmp_path: Path) -> None:
    assert load(tmp_path, "v,prompt\n1.0,a dog\n1.1,a cat\n", id_column="v").ids == ("1.0", "1.1")
    assert load(tmp_path, "v,prompt\n007,a dog\n1e3,a cat\n", id_column="v").ids == ("007", "1e3")


def test_an_open_quote_is_refused_and_swallows_no_rows(tmp_path: Path) -> None:
    assert "t.csv: line 3: cannot be read as CSV" in fault(tmp_path, 'prompt\n"a dog\na cat\n')


def test_a_cell_too_long_for_csv_gives_one_short_sentence(tmp_path: Path) -> None:
    message = fault(tmp_path, f"prompt\n{'x' * 200_000}\n")
    assert "t.csv: line 2: " in message
    assert len(message) < 250


@pytest.mark.parametrize("content", ["prompt\n", {"prompt": pa.array([], pa.string())}])
def test_a_table_without_rows_is_an_empty_set(tmp_path: Path, content: Any) -> None:
    assert "prompts: holds no prompts" in fault(tmp_path, content)


def test_an_empty_csv_is_refused(tmp_path: Path) -> None:
    assert fault(tmp_path, "").startswith("t.csv: is empty; ")


def test_a_csv_that_is_not_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"prompt\na dog\ncaf\xe9\n")
    with pytest.raises(InputError, match=r"t\.csv:3: b'.xe9' is not UTF-8"):
        load_prompts(PromptSource(table="t.csv"), tmp_path)


@pytest.mark.parametrize("data", [b"", b"prompt\na dog\n", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"t\.parquet: cannot be read as parquet \(.*\); "):
        load_prompts(PromptSource(table="t.parquet"), tmp_path)


def test_a_truncated_parquet_is_refused(tmp_path: Path) -> None:
    save(tmp_path, {"prompt": [f"dog {i}" for i in range(1000)]})
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[4:400] = b"\xff" * 396
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        load_prompts(PromptSource(table="t.parquet"), tmp_path)


@pytest.mark.parametrize("name", ["t.tsv", "t", "t.csv.gz"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("prompt\na dog\n")
    with pytest.raises(InputError, match=r"prompts\.table: 't.*' is neither \.csv nor \.parquet; "):
        load_prompts(PromptSource(table=name), tmp_path)


def test_a_column_of_lists_is_refused_by_name(tmp_path: Path) -> None:
    message = fault(tmp_path, {"prompt": ["a dog"], "embedding": [[0.1, 0.2]]})
    assert message.startswith("t.parquet: columns: 'embedding' is of type list<")


def test_a_time_python_cannot_hold_is_refused_by_name(tmp_path: Path) -> None:
    message = fault(tmp_path, {"prompt": ["a dog"], "at": pa.array([1], pa.timestamp("ns"))})
    assert message.startswith("t.parquet: columns: 'at' cannot be read (")


def test_a_missing_table_is_named_as_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prompts\.table: 'no\.csv' does not exist"):
        load_prompts(PromptSource(table="no.csv"), tmp_path)


def test_a_wide_table_gives_one_short_sentence(tmp_path: Path) -> None:
    message = fault(tmp_path, {f"column {i}": ["x"] for i in range(1000)})
    assert message.endswith("column 11, …).")
