"""Progress reports: seldom, short, and complete at the end."""

from __future__ import annotations

import sys

import pytest

from hierflow import progress
from hierflow.progress import Bar, Lines, Silent, duration, to_stderr


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_line_says_what_is_done_how_fast_and_how_long_it_will_take(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines("denoising", 400, said.append)
    clock.now = 10.0
    lines.advance(100)
    assert said == ["denoising: 100 / 400, 10.0 a second, 30 s left"]


def test_lines_come_every_few_seconds_and_not_every_level(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines("denoising", 1000, said.append)
    for _ in range(100):
        clock.now += 0.25
        lines.advance(10)
    assert len(said) == 5


def test_the_last_line_says_that_all_is_done(clock: Clock) -> None:
    said: list[str] = []
    lines = Lines("denoising", 4, said.append)
    clock.now = 2.0
    lines.advance(4)
    lines.close()
    assert said == ["denoising: 4 / 4, 2.0 a second"]


def test_nothing_is_said_twice_and_nothing_about_nothing(clock: Clock) -> None:
    said: list[str] = []
    Lines("denoising", 0, said.append).close()
    lines = Lines("denoising", 4, said.append)
    clock.now = 9.0
    lines.advance(4)
    lines.close()
    assert len(said) == 1


def test_a_report_that_ends_before_it_began_says_so(clock: Clock) -> None:
    said: list[str] = []
    Lines("denoising", 4, said.append).close()
    assert said == ["denoising: 0 / 4, 0.0 a second, an unknown time left"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (8.4, "8 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (-0.3, "0 s"),
        (-200, "-3 min 20 s"),
        (float("inf"), "an unknown time"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_where_there_is_no_terminal_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report = to_stderr("denoising", 2)
    report.advance(2)
    report.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("denoising: 2 / 2")


def test_on_a_terminal_there_is_a_bar_on_stderr_that_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    report = to_stderr("denoising", 2)
    assert isinstance(report, Bar)
    report.advance(2)
    report.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "denoising" in captured.err
    assert "\n" not in captured.err


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    report = Silent("denoising", 2)
    report.advance(2)
    report.close()
    assert capsys.readouterr() == ("", "")
