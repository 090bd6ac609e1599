"""Choosing one source, and what YAML makes of values."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hierflow.errors import InputError
from hierflow.prompts import PromptSource, load_prompts


def fault(tmp_path: Path, **fields: object) -> str:
    with pytest.raises(InputError) as caught:
        load_prompts(PromptSource(**fields), tmp_path)
    return str(caught.value)


def test_two_sources_at_once_are_refused_by_name(tmp_path: Path) -> None:
    message = fault(tmp_path, file="p.txt", text=["a dog"])
    assert message == "prompts: 'file, text' are several sources at once; keep one of them."


def test_no_source_is_refused_with_the_four_there_are(tmp_path: Path) -> None:
    message = fault(tmp_path)
    assert message.startswith("prompts: names no prompts;")
    assert all(kind in message for kind in ("file", "text", "template", "table"))


@pytest.mark.parametrize("fields", [{"text": []}, {"text": [], "axes": None}])
def test_an_empty_list_is_an_empty_set(tmp_path: Path, fields: dict[str, object]) -> None:
    assert "prompts: holds no prompts" in fault(tmp_path, **fields)


@pytest.mark.parametrize(
    ("stray", "names"),
    [
        ({"axes": {"color": ["red"]}}, "prompts.axes: 'color' belong to a template"),
        ({"id_column": "sku"}, "prompts.id_column: 'sku' names a column of a table"),
        ({"prompt_column": "caption"}, "prompts.prompt_column: 'caption' names a column"),
    ],
)
def test_a_field_of_another_source_is_refused(tmp_path: Path, stray: dict[str, object], names: str) -> None:
    message = fault(tmp_path, text=["a dog"], **stray)
    assert names in message
    assert "the prompts come from text" in message


def test_fields_spelled_out_at_their_defaults_are_no_stray_fields(tmp_path: Path) -> None:
    source = PromptSource(text=["a dog"], file=None, axes=None, prompt_column="prompt", id_column=None)
    assert load_prompts(source, tmp_path).texts == ("a dog",)


def test_numbers_of_yaml_become_text_as_written(tmp_path: Path) -> None:
    source = PromptSource(template="{n} cups of {x} l", axes={"n": [1, 2], "x": [0.5, "1.50"]})
    assert load_prompts(source, tmp_path).texts[:2] == ("1 cups of 0.5 l", "1 cups of 1.50 l")
    assert load_prompts(PromptSource(text=[7, "a dog"]), tmp_path).texts == ("7", "a dog")


@pytest.mark.parametrize("value", [True, False, float("inf"), float("nan"), 1e-7, 1e30])
def test_values_whose_spelling_yaml_lost_are_refused(value: object) -> None:
    with pytest.raises(ValidationError, match=r"axis lights: .*in quotes"):
        PromptSource(template="{lights}", axes={"lights": ["dim", value]})
    with pytest.raises(ValidationError, match=r"item 1: .*in quotes"):
        PromptSource(text=["dim", value])


@pytest.mark.parametrize(
    "fields", [{"axes": "red"}, {"axes": {"a": "red"}}, {"axes": {"a": [None]}}, {"text": "a dog"}]
)
def test_a_wrong_shape_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PromptSource(**fields)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="flie"):
        PromptSource(flie="p.txt")


def test_every_field_has_a_description() -> None:
    assert [name for name, field in PromptSource.model_fields.items() if not field.description] == []


def test_dagster_nests_the_model_in_a_component() -> None:
    dg = pytest.importorskip("dagster")

    class Holder(dg.Component, dg.Resolvable, dg.Model):
        prompts: PromptSource

        def build_defs(self, context: object) -> object:
            raise NotImplementedError

    yaml = "prompts: {template: 'a {size} mug', axes: {size: [1, big]}}"
    assert Holder.resolve_from_yaml(yaml).prompts.axes == {"size": ["1", "big"]}
