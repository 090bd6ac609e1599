"""The servers that other tests of this folder use: each answers, and each test gets an empty one."""

from __future__ import annotations

import fsspec
import pytest
import sqlalchemy
from redis import Redis

from hierflow_tests.services.conftest import Bucket

pytestmark = pytest.mark.services

twice = pytest.mark.parametrize("test", [1, 2])


@twice
def test_every_test_has_an_empty_bucket(s3: Bucket, test: int) -> None:
    assert s3.keys() == []
    fsspec.open(f"{s3.url}/a/b.txt", "wb").open().close()
    assert s3.keys() == ["a/b.txt"]


@twice
def test_every_test_has_an_empty_database(postgres: str, test: int) -> None:
    engine = sqlalchemy.create_engine(postgres)
    with engine.begin() as connection:
        assert sqlalchemy.inspect(connection).get_table_names() == []
        connection.execute(sqlalchemy.text("CREATE TABLE images (id int)"))
    engine.dispose()


@twice
def test_every_test_has_an_empty_redis(redis: str, test: int) -> None:
    client = Redis.from_url(f"{redis}/1")
    assert client.dbsize() == 0
    client.set("image", "1")
