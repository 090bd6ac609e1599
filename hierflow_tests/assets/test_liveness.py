"""A run is dead once its process is, whoever has its number now."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hierflow.assets.liveness import is_dead, process_tag


def test_this_process_is_alive_and_one_that_has_ended_is_not() -> None:
    assert not is_dead(process_tag())
    ended = subprocess.run(
        [sys.executable, "-c", "from hierflow.assets.liveness import process_tag as tag; print(tag())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert is_dead(ended.stdout.strip())


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
def test_another_process_of_the_same_number_is_another_process() -> None:
    node, pid, started = process_tag().split(":")
    assert is_dead(f"{node}:{pid}:{int(started) - 1}")


@pytest.mark.parametrize("tag", [None, "", "elsewhere:1:1", "something", f"{os.uname().nodename}:x:1"])
def test_what_cannot_be_told_counts_as_alive(tag: str | None) -> None:
    assert not is_dead(tag)


def test_a_tag_without_a_time_is_not_taken_for_a_living_process() -> None:
    assert is_dead(f"{os.uname().nodename}:{os.getpid()}")
