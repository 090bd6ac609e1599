"""Prompts from a file of lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.prompts import PromptSource, load_prompts


def load(folder: Path, data: bytes) -> tuple[str, ...]:
    (folder / "p.txt").write_bytes(data)
    return load_prompts(PromptSource(file="p.txt"), folder).texts


def fault(folder: Path, data: bytes | None = None, file: str = "p.txt") -> str:
    if data is not None:
        (folder / file).write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_prompts(PromptSource(file=file), folder)
    return str(caught.value)


def test_a_line_is_a_prompt_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    assert load(tmp_path, b"a dog\n\n  \na cat") == ("a dog", "a cat")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_of_every_system_are_read(tmp_path: Path, end: bytes) -> None:
    assert load(tmp_path, b"a dog" + end + b"a cat" + end) == ("a dog", "a cat")


def test_a_byte_order_mark_is_no_part_of_the_first_prompt(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeffa dog\n".encode()) == ("a dog",)


def test_a_line_separator_inside_a_prompt_does_not_split_it(tmp_path: Path) -> None:
    assert load(tmp_path, "a\u2028dog\n".encode()) == ("a\u2028dog",)


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a dog")
    assert len(load_prompts(PromptSource(file=str(tmp_path / "p.txt")), "/elsewhere")) == 1


@pytest.mark.parametrize("data", [b"", b"\n \n", "\ufeff".encode()])
def test_an_empty_file_is_an_empty_set(tmp_path: Path, data: bytes) -> None:
    assert f"{tmp_path / 'p.txt'}: prompts: holds no prompts; " in fault(tmp_path, data)


@pytest.mark.parametrize("mark", [b"", "\ufeff".encode()])
def test_a_byte_that_is_not_utf8_is_named_by_its_line(tmp_path: Path, mark: bytes) -> None:
    message = fault(tmp_path, mark + "grün\r\n\r\n".encode() + b"caf\xe9\n")
    assert message.startswith(f"{tmp_path / 'p.txt'}:3: b'\\xe9' is not UTF-8; save it")


@pytest.mark.parametrize("data", [b"a dog\n\x00\x01", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"])
def test_a_binary_file_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "p.txt: is a binary file, not text; save it as plain text in UTF-8." in fault(tmp_path, data)


def test_faults_name_the_line_of_the_file_counting_blank_ones(tmp_path: Path) -> None:
    message = fault(tmp_path, b"a dog\n\nbeep \x07 beep\n")
    assert message.startswith(f"{tmp_path / 'p.txt'}: line 3: ")


def test_a_line_of_a_hundred_thousand_characters_gives_one_short_sentence(tmp_path: Path) -> None:
    message = fault(tmp_path, b"a dog\n" + b"x" * 100_000)
    assert "line 2: " in message
    assert "has 100000 characters" in message
    assert len(message) - len(str(tmp_path)) < 250


@pytest.mark.parametrize("name", ["nothing.txt", "p.txt/deeper.txt", "x" * 300, "nul\0.txt"])
def test_a_missing_file_is_named_as_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "p.txt").write_text("a dog")
    message = fault(tmp_path, file=name)
    assert message.startswith("prompts.file: '")
    assert name[:20].encode("unicode_escape").decode()[:8] in message
    assert "relative to the document's folder" in message


@pytest.mark.parametrize("name", [".", "folder", ""])
def test_a_folder_is_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert f"prompts.file: {name!r} is a folder; " in fault(tmp_path, file=name)
