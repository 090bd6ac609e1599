"""`{{ env.NAME }}` in a document means what Dagster's users expect of it, and only where places are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hierflow.document import load_document
from hierflow.environment import FIELDS, with_environment
from hierflow.errors import InputError
from hierflow_tests.image_sets import command, write_document


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "s3://pictures")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("UNSET", raising=False)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{{ env.BUCKET }}", "s3://pictures"),
        ("{{env.BUCKET}}/sets/{{ env.BUCKET }}", "s3://pictures/sets/s3://pictures"),
        ("{{ env('BUCKET') }}/a", "s3://pictures/a"),
        ('{{ env("BUCKET", "./out") }}', "s3://pictures"),
        ("{{ env('UNSET', './out') }}", "./out"),
        ("{{ env('UNSET', '') }}x", "x"),
        ("{{ env.EMPTY }}x", "x"),
        ("plain {path}", "plain {path}"),
    ],
)
@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_a_variable_stands_for_its_value(section: str, field: str, written: str, read: str) -> None:
    before: dict[str, Any] = {"name": "x", section: {field: written, "other": "{{ env.BUCKET }}"}}
    after = with_environment(before)
    assert after == {"name": "x", section: {field: read, "other": "{{ env.BUCKET }}"}}
    assert before[section][field] == written


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{{ env.UNSET }}/x", "needs the environment variable UNSET, which is not set; set UNSET, or write"),
        ("{{ env('UNSET') }}", "needs the environment variable UNSET"),
        ("{{ context.project_root }}/x", "is not an environment variable; write {{ env.NAME }}"),
        ("{{ env.BUCKET | upper }}", "is not an environment variable"),
    ],
)
def test_what_cannot_be_replaced_is_refused_in_its_line(tmp_path: Path, written: str, says: str) -> None:
    document = write_document(tmp_path, storage={"path": written})
    line = next(n for n, text in enumerate(document.read_text().splitlines(), start=1) if "path:" in text)
    with pytest.raises(InputError) as refused:
        load_document(document)
    assert str(refused.value).startswith(f"{document}:{line}: storage.path: {written!r} ")
    assert says in str(refused.value)


def test_a_value_is_checked_like_one_that_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = write_document(tmp_path, storage={"url": "{{ env.BUCKET }}"})
    with pytest.raises(InputError, match=r"storage\.url: 's3://pictures' is not a URL"):
        load_document(document)
    monkeypatch.setenv("BUCKET", "https://pictures.example.com")
    assert load_document(document).storage.url == "https://pictures.example.com"


def test_braces_in_prompts_stay_the_prompts_own(tmp_path: Path) -> None:
    source = {"template": "a {color} {{ env.BUCKET }}", "axes": {"color": ["red", "{{ env.UNSET }}"]}}
    spec = load_document(write_document(tmp_path, prompts=source))
    assert (spec.prompts.template, spec.prompts.axes) == (source["template"], source["axes"])


def test_the_command_line_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETS", str(tmp_path / "elsewhere"))
    document = write_document(tmp_path, storage={"path": "{{ env.SETS }}"})
    assert command("plan", document).code == 0
    assert (tmp_path / "elsewhere" / "trial").is_dir()
    monkeypatch.delenv("SETS")
    ended = command("plan", document)
    assert ended.code == 2
    assert "storage.path" in ended.stderr
    assert "SETS, which is not set" in ended.stderr


def test_variables_stand_for_their_values_below_the_options_of_a_storage() -> None:
    written = {"key": "{{ env.BUCKET }}", "anon": False, "client_kwargs": {"region_name": "{{ env('UNSET', 'eu') }}"}}
    after = with_environment({"storage": {"path": "s3://x", "options": written}})
    assert after["storage"]["options"] == {
        "key": "s3://pictures",
        "anon": False,
        "client_kwargs": {"region_name": "eu"},
    }
    with pytest.raises(InputError) as refused:
        with_environment({"storage": {"options": {"client_kwargs": {"a": "{{ env.UNSET }}"}}}})
    assert refused.value.field == "storage.options.client_kwargs.a"
