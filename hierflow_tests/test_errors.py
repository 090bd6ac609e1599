"""One sentence that says where, what, and what to do."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from hierflow.errors import HierflowError, InputError, RunError


def test_a_sentence_names_file_field_value_problem_and_remedy() -> None:
    error = InputError("is not a number", file=Path("a/b.yaml"), field="sharing.tau", value="x", remedy="write 1.0")
    assert str(error) == "a/b.yaml: sharing.tau: 'x' is not a number; write 1.0."


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "is wrong."),
        ({"field": "name"}, "name: is wrong."),
        ({"value": 0}, "0 is wrong."),
        ({"value": False, "remedy": "try true"}, "False is wrong; try true."),
        ({"file": "x.yaml", "value": ""}, "x.yaml: '' is wrong."),
    ],
)
def test_what_is_not_known_is_left_out(parts: dict[str, object], sentence: str) -> None:
    assert str(InputError("is wrong", **parts)) == sentence  # type: ignore[arg-type]


def test_a_long_value_is_shortened_and_a_value_of_many_lines_is_one_line() -> None:
    sentence = str(InputError("is wrong", value=list(range(1000))))
    assert len(sentence) < 120
    assert "…" in sentence
    assert "\n" not in str(InputError("is wrong", value={"a": "b\nc"}))
    assert str(InputError("is wrong", value=Path("a\nb"))) == "a b is wrong."


def test_locating_an_error_adds_the_file_and_keeps_one_that_is_named() -> None:
    error = InputError("is wrong", field="name", value="x", remedy="mend it")
    assert str(error.located("doc.yaml")) == "doc.yaml: name: 'x' is wrong; mend it."
    assert str(error.located("doc.yaml").located("other.yaml", 3)) == "doc.yaml: name: 'x' is wrong; mend it."
    assert str(error.located("doc.yaml", 3)) == "doc.yaml:3: name: 'x' is wrong; mend it."


def test_an_input_error_is_a_value_error_and_a_run_error_is_not() -> None:
    assert issubclass(InputError, ValueError)
    assert issubclass(InputError, HierflowError)
    assert issubclass(RunError, HierflowError)
    assert not issubclass(RunError, ValueError)


def test_an_error_survives_the_way_to_another_process() -> None:
    error = InputError("is wrong", file="doc.yaml", line=2, field="name", value="x", remedy="mend it")
    arrived = copy.copy(error)  # takes the same way as between processes
    assert str(arrived) == str(error)
    assert (arrived.field, arrived.value, arrived.remedy) == ("name", "x", "mend it")
