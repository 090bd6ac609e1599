"""Tables on asset pages: short, aligned, and harmless whatever a prompt holds."""

from __future__ import annotations

from pathlib import Path

from hierflow.assets.tables import ROWS, prompt_table, table
from hierflow.prompts import PromptSource, load_prompts


def lines(rows: list[dict[str, object]], more: int = 0) -> list[str]:
    return str(table(rows, more).value).splitlines()


def test_numbers_are_short_and_what_is_missing_is_blank() -> None:
    rows = [{"value": "red", "saved": 0.57083333, "n": 4800}, {"value": None, "saved": 1.0, "n": 7}]
    head, rule, first, second = lines(rows)
    assert head == "| value | saved | n |"
    assert rule == "| --- | --- | --- |"
    assert first == "| red | 0.5708 | 4,800 |"
    assert second == "|  | 1 | 7 |"


def test_text_is_text_whatever_it_is_made_of() -> None:
    *_, row = lines([{"prompt": "<script>a|b</script> [x](javascript:y)\n![z](http://w) `c` *d* $e$"}])
    assert row.count("|") - row.count("\\|") == 2
    for live in ("<script>", "](", "![", "`c`", "*d*", "$e$"):
        assert live not in row
    assert "\n" not in row


def test_long_text_is_cut_and_long_tables_say_how_much_more_there_is() -> None:
    found = lines([{"prompt": "x" * 2000}] * (ROWS + 7))
    assert max(map(len, found)) < 250
    assert found[-1] == "and 7 more"
    assert len(found) == ROWS + 4


def test_no_rows_are_none() -> None:
    assert lines([]) == ["none"]


def test_prompts_are_shown_with_their_axes() -> None:
    source = PromptSource.model_validate({"template": "a {color} mug", "axes": {"color": ["red", "blue"]}})
    prompts = load_prompts(source, Path("/"))
    found = str(prompt_table(prompts, [1]).value)
    assert "a blue mug" in found
    assert "| prompt_id | prompt | color |" in found
    assert "red" not in found
