"""Bytes in and out of a place, whatever kind of place it is."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from hierflow.errors import InputError, StorageError
from hierflow.store.storage import Storage


def everything_below(folder: Path) -> list[str]:
    """All files, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_written_is_read_listed_and_deleted(storage: Storage) -> None:
    storage.write("a/b.bin", b"one")
    storage.write("a/c/d.bin", b"two")
    storage.write("a/b.bin", b"three")
    assert storage.read("a/b.bin") == b"three"
    assert storage.list("a") == ["a/b.bin", "a/c/d.bin"]
    storage.delete("a/b.bin")
    assert not storage.exists("a/b.bin")
    assert storage.list("a") == ["a/c/d.bin"]


def test_many_files_are_read_at_once_and_what_is_gone_is_left_out(storage: Storage) -> None:
    storage.write("a/[1]*.bin", b"one")  # no patterns: these are names
    storage.write("a/2.bin", b"two")
    assert storage.read_all(["a/2.bin", "gone.bin", "a/[1]*.bin"]) == {"a/2.bin": b"two", "a/[1]*.bin": b"one"}
    assert storage.read_all([]) == {}


def test_a_fault_while_many_files_are_read_is_not_taken_for_a_missing_file(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("a.bin", b"one")

    def denied(*args: object, **kwargs: object) -> bytes:
        raise PermissionError("denied")

    monkeypatch.setattr(storage._fs, "cat_file", denied)
    with pytest.raises(InputError) as refused:
        storage.read_all(["a.bin"])
    assert refused.value.field == "storage.path"


def test_what_is_not_there_is_said_to_be_missing(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.read("nothing.bin")
    assert storage.list("nowhere") == []
    assert not storage.exists("nothing.bin")
    storage.delete("nothing.bin")


def test_opening_a_storage_writes_nothing(tmp_path: Path) -> None:
    Storage(tmp_path / "new").child("set").list("states")
    assert list(tmp_path.iterdir()) == []


def test_a_child_is_the_same_place_one_folder_down(storage: Storage) -> None:
    storage.child("set").write("x.bin", b"x")
    assert storage.list("set") == ["set/x.bin"]
    assert storage.child("set").url("x.bin") == storage.url("set/x.bin")


def test_a_url_leads_back_to_the_file(storage: Storage) -> None:
    storage.write("x/y.bin", b"y")
    assert Storage(storage.url("x")).read("y.bin") == b"y"


@pytest.mark.parametrize("path", ["../out.bin", "a/../../out.bin", "/etc/passwd", "a\\..\\b", "a\0b", "", ".."])
def test_a_path_that_leaves_the_folder_is_refused(storage: Storage, path: str) -> None:
    for act in (storage.read, storage.exists, storage.list, storage.delete, storage.child):
        with pytest.raises(ValueError, match="is not a path inside the store"):
            act(path)
    with pytest.raises(ValueError, match="is not a path inside the store"):
        storage.write(path, b"x")


@pytest.mark.parametrize("fails", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_bytes_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, error: BaseException
) -> None:
    storage = Storage(tmp_path)
    storage.write("a/b.bin", b"old")

    def failing(*args: object) -> None:
        raise error

    monkeypatch.setattr(os, fails, failing)
    with pytest.raises(StorageError if isinstance(error, OSError) else KeyboardInterrupt):
        storage.write("a/b.bin", b"new", durable=True)
    assert everything_below(tmp_path) == ["a/b.bin"]
    assert storage.read("a/b.bin") == b"old"


class Remembering(MemoryFileSystem):
    """Shares its files with `memory://`, and remembers listings until it is told to forget, as s3fs and gcsfs do."""

    protocol = ("remembering", "memory")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.replace("remembering://", "memory://")))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        if path not in self.dircache:
            self.dircache[path] = super().ls(path, detail=True)
        found = self.dircache[path]
        return found if detail else [about["name"] for about in found]

    def find(self, path: str, **kwargs: Any) -> Any:
        return AbstractFileSystem.find(self, path, **kwargs)  # folder by folder, by listings

    def exists(self, path: str, **kwargs: Any) -> bool:
        path = self._strip_protocol(path)
        return any(about["name"] == path for about in self.ls(self._parent(path)))

    def invalidate_cache(self, path: str | None = None) -> None:
        if path is None:
            self.dircache.clear()
        else:
            self.dircache.pop(self._strip_protocol(path), None)


def test_what_another_process_writes_is_seen_though_the_package_remembers_listings() -> None:
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    bucket = uuid.uuid4().hex
    here, elsewhere = Storage(f"remembering://{bucket}"), Storage(f"memory://{bucket}")
    elsewhere.write("records/a/one.json", b"1")
    assert here.list("records") == ["records/a/one.json"]
    elsewhere.write("records/a/two.json", b"2")
    assert not here._fs.exists(f"/{bucket}/records/a/two.json")  # it does remember
    assert here.exists("records/a/two.json")
    elsewhere.write("records/a/three.json", b"3")
    assert here.sizes("records") == dict.fromkeys(
        ("records/a/one.json", "records/a/three.json", "records/a/two.json"), 1
    )
    elsewhere.write("records/a/four.json", b"4")
    here.delete("records/a/four.json")
    assert not elsewhere.exists("records/a/four.json")


@pytest.mark.parametrize("durable", [True, False])
def test_a_durable_write_waits_for_the_file_and_then_for_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    flushed, real = list[tuple[str, bool]](), os.fsync

    def noted(opened: int) -> None:
        flushed.append((os.readlink(f"/proc/self/fd/{opened}"), (tmp_path / "a/b.bin").exists()))
        real(opened)

    monkeypatch.setattr(os, "fsync", noted)
    Storage(tmp_path).write("a/b.bin", b"new", durable=durable)
    if not durable:
        assert flushed == []
        return
    (draft, too_early), folder = flushed
    assert Path(draft).parent == tmp_path / "a"
    assert not too_early
    assert folder == (str(tmp_path / "a"), True)


@pytest.mark.parametrize(("number", "is_told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_flush_folders_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_told: bool
) -> None:
    def fsync(opened: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{opened}"):
            raise OSError(number, "no")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError) if is_told else contextlib.nullcontext():
        Storage(tmp_path).write("a/b.bin", b"new", durable=True)
    assert Storage(tmp_path).read("a/b.bin") == b"new"


def test_the_draft_of_another_writer_is_not_listed(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.write("a/b.bin", b"whole")
    storage.write("a/.b.bin.0123", b"half")
    assert storage.list("a") == ["a/b.bin"]


@pytest.mark.parametrize("below", ["", "set"])
def test_a_file_where_the_folder_should_be_is_the_users_fault(tmp_path: Path, below: str) -> None:
    (tmp_path / "out").write_text("not a folder")
    storage = Storage(tmp_path / "out" / below)
    with pytest.raises(
        InputError, match=r"^storage\.path: '.*out.*' cannot be used as a folder \(.+\); give a folder"
    ):
        storage.prepare()
    with pytest.raises(FileNotFoundError):
        storage.read("current.json")
    assert storage.list("states") == []
    assert (tmp_path / "out").read_text() == "not a folder"


def test_a_folder_that_cannot_be_written_to_is_the_users_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere, so chmod will not do
    with pytest.raises(InputError, match=r"^storage\.path: '.*' is not writable; give a folder that is\.$"):
        Storage(tmp_path).prepare()


def test_a_folder_that_is_only_read_need_not_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    Storage(tmp_path).check(writes=False)
    with pytest.raises(InputError, match=r"^storage\.path: '.*' is not writable; give"):
        Storage(tmp_path).check(writes=True)
    with pytest.raises(InputError, match=r"^storage\.path: '.*/below' cannot be made: .* is not writable; give"):
        Storage(tmp_path / "below").check(writes=True)


@pytest.mark.parametrize("url", ["nonsense://bucket/x", "nonsense::file:///x"])
def test_a_protocol_that_fsspec_does_not_know_is_the_users_fault(url: str) -> None:
    with pytest.raises(
        InputError, match=r"^storage\.path: 'nonsense.* cannot be opened \(.*nonsense.*\); give a folder"
    ):
        Storage(url)


@pytest.mark.parametrize(
    "url",
    ["ftp://me:pw@127.0.0.1:1/x", "smb://host/share", "http://host/x", "simplecache::memory://x", "dir::memory://x"],
)
def test_a_store_that_cannot_replace_a_file_in_one_step_is_refused_without_connecting_to_it(url: str) -> None:
    with pytest.raises(InputError) as refused:
        Storage(url)
    assert refused.value.field == "storage.path"
    assert url.split(":")[0] in refused.value.problem
    assert "pw" not in str(refused.value)


class Renaming(MemoryFileSystem):
    """A file system like sftp: a write can break off half way, a rename cannot."""

    protocol = ("renaming", "sftp")
    renames: ClassVar[list[tuple[str, str]]] = []

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.renames.append((path1, path2))
        self.store[path2] = self.store.pop(path1)

    def pipe_file(self, path: str, value: bytes, **kwargs: Any) -> None:
        if value == b"breaks":
            super().pipe_file(path, value[:3])
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        super().pipe_file(path, value, **kwargs)


def test_a_store_without_atomic_writes_is_written_by_rename() -> None:
    fsspec.register_implementation("renaming", Renaming, clobber=True)
    storage = Storage(f"renaming://{uuid.uuid4().hex}")
    storage.write("a/b.txt", b"old")
    (draft, path), *_ = Renaming.renames
    assert path.endswith("/a/b.txt")
    assert draft.rsplit("/", 1)[0] == path.rsplit("/", 1)[0]
    with pytest.raises(StorageError):
        storage.write("a/b.txt", b"breaks")
    assert storage.read("a/b.txt") == b"old"
    assert len(storage._find()) == 1


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("remembering", Remembering, clobber=True)
    storage = Storage(f"remembering://{uuid.uuid4().hex}")
    storage.write("a/b.txt", b"1")

    def fails(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(Remembering, "ls", fails)
    monkeypatch.setattr(Remembering, "find", AbstractFileSystem.find)
    monkeypatch.setattr(Remembering, "info", fails)
    with pytest.raises(StorageError):
        storage.list("a")
    with pytest.raises(StorageError):
        storage.exists("a/b.txt")


def test_a_folder_can_be_removed_with_all_below_it_and_nothing_beside(storage: Storage) -> None:
    storage.child("one").write("a/b.txt", b"1")
    storage.child("two").write("a/b.txt", b"2")
    storage.child("one").remove()
    storage.child("never").remove()
    assert storage.list("one") == []
    assert storage.child("two").read("a/b.txt") == b"2"
