"""Prompts from a file of lines, and files behind URLs."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from hierflow.errors import InputError, StorageError
from hierflow.prompts import PromptSource, load_prompts
from hierflow.prompts.text_files import find_file


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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(tmp_path: Path, encoding: str) -> None:
    assert "p.txt: is UTF-16 text, and UTF-8 is expected" in fault(tmp_path, "a dög\r\na cat\n".encode(encoding))


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


# ---- URLs ------------------------------------------------------------------------------------------------


@pytest.fixture
def files() -> Iterator[MemoryFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/hierflow-prompts", recursive=True)


def source_of(name: str) -> PromptSource:
    url = f"memory://hierflow-prompts/{name}"
    return PromptSource(file=url) if name.endswith(".txt") else PromptSource(table=url)


def test_a_url_is_read_as_a_path_would_be(files: MemoryFileSystem, tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pq.write_table(pa.table({"prompt": ["a dog"], "n": [1]}), parquet)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("t.csv", "prompt,n\na dog,1\n")
    for name, data in {
        "p.txt": b"a dog\n\na cat\n",
        "t.CSV": b"prompt,n\na dog,1\n",
        "t.parquet": parquet.getvalue(),
        "t.zip": zipped.getvalue(),
    }.items():
        files.pipe(f"/hierflow-prompts/{name}", data)
    (tmp_path / "p.txt").write_bytes(b"a dog\na cat\n")
    assert load_prompts(source_of("p.txt"), tmp_path).texts == ("a dog", "a cat")
    assert load_prompts(PromptSource(file=(tmp_path / "p.txt").as_uri()), "/elsewhere").texts == ("a dog", "a cat")
    assert load_prompts(source_of("t.CSV"), tmp_path).columns == {"n": ("1",)}
    assert load_prompts(source_of("t.parquet"), tmp_path).columns == {"n": (1,)}
    chained = PromptSource(table="zip://t.csv::memory://hierflow-prompts/t.zip")
    assert load_prompts(chained, tmp_path).texts == ("a dog",)


def test_a_fault_in_a_file_behind_a_url_names_the_url_and_the_line(files: MemoryFileSystem, tmp_path: Path) -> None:
    files.pipe("/hierflow-prompts/p.txt", b"a dog\nbeep \x07\n")
    files.pipe("/hierflow-prompts/t.csv", "prompt\na d\xf6g\n".encode("utf-16"))
    with pytest.raises(InputError) as caught:
        load_prompts(source_of("p.txt"), tmp_path)
    assert (caught.value.file, caught.value.field) == ("memory://hierflow-prompts/p.txt", "line 2")
    with pytest.raises(InputError, match="is UTF-16 text") as caught:
        load_prompts(source_of("t.csv"), tmp_path)
    assert caught.value.file == "memory://hierflow-prompts/t.csv"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("memory://hierflow-prompts/gone.txt", ""),
        ("memory://hierflow-prompts", ""),
        ("file:///nowhere/gone.txt", ""),
        ("nonsense://x/p.txt", ""),
        ("dropbox://ann:secret@x/p.txt", "dropbox://x/p.txt"),  # its package is not installed
        ("://", ""),
    ],
)
def test_a_url_that_leads_to_no_file_is_refused(
    files: MemoryFileSystem, tmp_path: Path, url: str, shown: str
) -> None:
    files.pipe("/hierflow-prompts/p.txt", b"a dog\n")
    with pytest.raises(InputError) as caught:
        load_prompts(PromptSource(file=url), tmp_path)
    assert (caught.value.field, caught.value.value, caught.value.file) == ("prompts.file", shown or url, None)
    assert "secret" not in str(caught.value)


def test_a_password_in_a_url_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_prompts(PromptSource(table="https://ann:secret@example.com/t.xls?x=t.csv"), tmp_path)
    assert caught.value.value == "https://example.com/t.xls?x=t.csv"


def test_a_server_that_does_not_answer_is_an_outage_and_no_wrong_input(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(StorageError) as caught:
        load_prompts(PromptSource(file="http://127.0.0.1:9/p.txt"), tmp_path)
    assert (caught.value.field, caught.value.value) == ("prompts.file", "http://127.0.0.1:9/p.txt")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "p.txt").write_text("a dog\n")
    assert load_prompts(PromptSource(file="~/p.txt"), "/elsewhere").texts == ("a dog",)
    with pytest.raises(InputError, match=r"looked for .*/gone\.txt") as caught:
        load_prompts(PromptSource(file="~/gone.txt"), "/elsewhere")
    assert caught.value.value == "~/gone.txt"


def test_a_version_follows_the_content_and_not_the_reading(
    files: MemoryFileSystem, tmp_path: Path, server: Server
) -> None:
    def write(data: bytes) -> None:
        (tmp_path / "p.txt").write_bytes(data)
        files.pipe("/hierflow-prompts/p.txt", data)
        server.data = data

    def versions() -> list[str]:
        places = ["p.txt", "memory://hierflow-prompts/p.txt", f"{server.url}/etag.txt", f"{server.url}/plain.txt"]
        return [find_file(place, tmp_path, "prompts.file").version() for place in places]

    write(b"a dog\n")
    first = versions()
    assert versions() == first
    write(b"a cat\n")
    assert all(before != after for before, after in zip(first, versions(), strict=True))


class Server:
    """A web server of one text; it names a checksum of `/etag.txt` and nothing of `/plain.txt`."""

    def __init__(self) -> None:
        self.data = b""
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(owner.data)))
                if self.path == "/etag.txt":
                    self.send_header("ETag", hashlib.sha256(owner.data).hexdigest())
                self.end_headers()

            def do_GET(self) -> None:
                self.do_HEAD()
                self.wfile.write(owner.data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()
