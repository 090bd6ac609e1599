"""Prompts in a bucket: read with the environment's credentials, watched by checksum, refused in a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierflow.errors import InputError, StorageError
from hierflow.prompts import PromptSource, load_prompts
from hierflow.prompts.text_files import find_file
from hierflow_tests.image_sets import command, write_document
from hierflow_tests.services.conftest import Bucket, free_port

pytestmark = pytest.mark.services


def test_files_and_tables_are_read(s3: Bucket, tmp_path: Path) -> None:
    parquet = io.BytesIO()
    pq.write_table(pa.table({"id": [7.0, 8.0], "prompt": ["a red mug", "a blue mug"]}), parquet)
    for key, data in {
        "p.txt": b"a red mug\na blue mug\n",
        "in/t.csv": b"id,prompt\n7.0,a red mug\n8.0,a blue mug\n",
        "in/t.parquet": parquet.getvalue(),
    }.items():
        s3.client.put_object(Bucket=s3.name, Key=key, Body=data)
    assert load_prompts(PromptSource(file=f"{s3.url}/p.txt"), tmp_path).texts == ("a red mug", "a blue mug")
    for table in ("in/t.csv", "in/t.parquet"):
        prompts = load_prompts(PromptSource(table=f"{s3.url}/{table}", id_column="id"), tmp_path)
        assert (prompts.ids, prompts.texts) == (("7", "8"), ("a red mug", "a blue mug"))


def test_a_version_follows_the_object(s3: Bucket, tmp_path: Path) -> None:
    file = find_file(f"{s3.url}/p.txt", tmp_path, "prompts.file")
    versions = []
    for data in (b"a red mug\n", b"a big mug\n", b"a red mug\n"):
        s3.client.put_object(Bucket=s3.name, Key="p.txt", Body=data)
        assert file.version() == file.version()
        versions.append(file.version())
    assert versions[0] != versions[1] != versions[2]


def test_what_is_absent_or_refused_is_one_sentence_of_the_command_line(s3: Bucket, tmp_path: Path) -> None:
    for url in (f"{s3.url}/gone.txt", "s3://no-such-bucket-of-hierflow/p.txt"):
        ended = command("plan", write_document(tmp_path, prompts={"file": url, "text": None}), "--json")
        assert ended.code == 2
        (sentence,) = ended.stderr.splitlines()
        assert f"prompts.file: '{url}' does not exist" in sentence


def test_a_server_that_is_down_is_an_outage(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    file = find_file(f"{s3.url}/p.txt", tmp_path, "prompts.file")
    for look in (file.read, file.version):
        with pytest.raises(StorageError) as caught:
            look()
        assert (caught.value.field, caught.value.value) == ("prompts.file", f"{s3.url}/p.txt")


def test_credentials_that_are_missing_are_wrong_settings(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError) as caught:
        find_file(f"{s3.url}/p.txt", tmp_path, "prompts.file").read()
    assert (caught.value.field, caught.value.value) == ("prompts.file", f"{s3.url}/p.txt")
