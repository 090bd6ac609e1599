"""The ledger: what every run executed, however it ended."""

from __future__ import annotations

import time

import pytest

from hierflow.store.ledger import Entry, Ledger, Paid, Work, began, clipped
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import Storage
from hierflow_tests.store.damage import flip

# A trunk node for steps 1-3, then two children: three levels of one evaluation and three of two.
WORK = (Work("root", 1, 3), Work("left", 4, 6), Work("right", 4, 6))


def entry(run: str = "run", *, started: float = 100.0, work: tuple[Work, ...] = WORK) -> Entry:
    return Entry(run, "call", "partition", "mug-1", "plan", "slice", started=started, work=work)


def test_a_closed_entry_comes_back_as_it_was(storage: Storage) -> None:
    opened = Ledger(storage).open(entry(), "run.mug-1")
    opened.note(6, evaluations=9)
    before = time.time()
    closed = opened.close(
        "done", evaluations=9, network_rows=18, seconds={"denoise": 1.5}, damaged=("x",), machine={"device": "cpu"}
    )
    assert Ledger(storage).entries() == [closed]
    assert (closed.status, closed.work, closed.evaluations) == ("done", WORK, 9)
    assert before <= closed.ended <= time.time()
    assert closed.damaged == ("x",)


def test_what_images_have_paid_comes_back_also_of_a_run_that_was_killed(storage: Storage) -> None:
    paid = (Paid("root", 1, 3, 0.5), Paid("left", 4, 6, 1.0))
    killed, done = (Ledger(storage).open(entry(run), run) for run in ("killed", "done"))
    killed.note(6, evaluations=9)
    killed.note(evaluations=9, paid=paid)
    done.close("done", paid=paid)
    entries = Ledger(storage).entries()
    assert {e.run: (e.status, e.paid) for e in entries} == {"killed": ("lost", paid), "done": ("done", paid)}
    assert next(e.work for e in entries if e.run == "killed") == WORK


def test_a_run_began_with_its_first_entry() -> None:
    entries = [entry("long", started=1.0), entry("short", started=2.0), entry("long", started=3.0)]
    assert began(entries) == began(entries[::-1]) == {"long": 1.0, "short": 2.0}


def test_closing_leaves_nothing_open(storage: Storage) -> None:
    opened = Ledger(storage).open(entry(), "run.mug-1")
    opened.note(1, evaluations=1)
    opened.close("done", evaluations=9)
    assert storage.list("ledger") == ["ledger/closed/run.mug-1.json"]


def test_a_failed_run_keeps_the_levels_it_noted(storage: Storage) -> None:
    opened = Ledger(storage).open(entry(), "run.mug-1")
    opened.note(4, evaluations=5)
    closed = opened.close("failed", evaluations=5, error="out of memory")
    assert closed.work == (Work("root", 1, 3), Work("left", 4, 4), Work("right", 4, 4))
    assert (closed.status, closed.unaccounted) == ("failed", 0)
    assert Ledger(storage).entries() == [closed]


def test_a_run_that_failed_before_its_first_level_executed_nothing(storage: Storage) -> None:
    assert Ledger(storage).open(entry(), "n").close("failed").work == ()


@pytest.mark.parametrize(
    ("level", "executed", "in_flight"),
    [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 5, 2), (6, 9, 0)],
)
def test_a_killed_run_is_lost_with_its_noted_levels_and_a_bound_of_one_level(
    storage: Storage, level: int, executed: int, in_flight: int
) -> None:
    Ledger(storage).open(entry(), "run.mug-1").note(level, evaluations=executed, network_rows=2 * executed)
    (lost,) = Ledger(storage).entries()
    assert lost.status == "lost"
    assert lost.work == clipped(WORK, level)
    assert sum(w.last - w.first + 1 for w in lost.work) == lost.evaluations == executed
    assert lost.network_rows == 2 * executed
    assert lost.unaccounted == in_flight
    assert lost.ended > lost.started


def test_a_run_killed_before_its_first_note_may_have_executed_its_first_level(storage: Storage) -> None:
    work = (Work("left", 4, 6), Work("right", 4, 6), Work("late", 5, 6))
    Ledger(storage).open(entry(work=work), "n")
    (lost,) = Ledger(storage).entries()
    assert (lost.work, lost.evaluations, lost.unaccounted) == ((), 0, 2)
    assert lost.ended == lost.started


def test_the_bound_reaches_over_steps_at_which_the_run_has_nothing_to_do(storage: Storage) -> None:
    # Resumed from the store at different steps: after step 2, the next that has any node is 5.
    Ledger(storage).open(entry(work=(Work("a", 1, 2), Work("b", 5, 6), Work("c", 5, 5))), "n").note(2, evaluations=2)
    assert Ledger(storage).entries()[0].unaccounted == 2


def test_a_run_without_work_is_lost_without_a_gap(storage: Storage) -> None:
    Ledger(storage).open(entry(work=()), "n")
    assert Ledger(storage).entries()[0].unaccounted == 0


def test_a_torn_note_counts_as_none(storage: Storage) -> None:
    Ledger(storage).open(entry(), "n").note(5, evaluations=7)
    flip(storage, "ledger/open/n.progress.json", at=20)
    (lost,) = Ledger(storage).entries()
    assert (lost.status, lost.work, lost.unaccounted) == ("lost", (), 1)


def test_entries_come_oldest_first(storage: Storage) -> None:
    ledger = Ledger(storage)
    ledger.open(entry("b", started=3.0), "b").close("done")
    ledger.open(entry("c", started=1.0), "c")
    ledger.open(entry("a", started=2.0), "a").close("failed")
    assert [(e.run, e.status) for e in ledger.entries()] == [("c", "lost"), ("a", "failed"), ("b", "done")]


def test_a_second_attempt_of_a_run_does_not_overwrite_its_first(storage: Storage) -> None:
    # A retried Dagster step keeps its run id.
    ledger = Ledger(storage)
    ledger.open(entry(started=1.0), "run.mug-1").close("failed", error="out of memory")
    ledger.open(entry(started=2.0), "run.mug-1").note(2, evaluations=2)
    ledger.open(entry(started=3.0), "run.mug-1").close("done", evaluations=7)
    assert [e.status for e in ledger.entries()] == ["failed", "lost", "done"]


def test_a_damaged_file_is_listed_and_hides_no_other(storage: Storage) -> None:
    ledger = Ledger(storage)
    ledger.open(entry("a"), "a").close("done")
    ledger.open(entry("b"), "b").close("done")
    ledger.open(entry("c"), "c")
    flip(storage, "ledger/closed/a.json", at=60)
    storage.write("ledger/open/c.json", b"")
    assert [e.run for e in ledger.entries()] == ["b"]
    assert ledger.damaged == {"ledger/closed/a.json"}
    assert ledger.illegible == {"ledger/open/c.json"}


def test_what_a_run_is_about_to_do_is_on_the_disk_before_it_does_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited, write = dict[str, bool](), Storage.write

    def noted(self: Storage, path: str, data: bytes, *, durable: bool = False) -> None:
        waited[path] = durable
        write(self, path, data, durable=durable)

    monkeypatch.setattr(Storage, "write", noted)
    opened = Ledger(storage).open(entry(), "n")
    opened.note(1, evaluations=1)
    opened.close("done", evaluations=9)
    assert waited == {
        "ledger/open/n.json": True,
        "ledger/open/n.progress.json": False,  # a level of a killed run, once a level
        "ledger/closed/n.json": True,
    }


def test_an_entry_closed_while_the_ledger_is_read_is_read_as_closed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Ledger(storage).open(entry(), "n")
    honest = Storage.list

    def closing_after_the_lists(self: Storage, folder: str) -> list[str]:
        found = honest(self, folder)
        if folder == "ledger/closed":
            opened.close("done", evaluations=9)
        return found

    monkeypatch.setattr(Storage, "list", closing_after_the_lists)
    assert [e.status for e in Ledger(storage).entries()] == ["done"]


def test_clipping_keeps_the_part_up_to_and_with_a_step() -> None:
    assert clipped(WORK, 0) == ()
    assert clipped(WORK, 2) == (Work("root", 1, 2),)
    assert clipped(WORK, 4) == (Work("root", 1, 3), Work("left", 4, 4), Work("right", 4, 4))
    assert clipped(WORK, 9) == WORK


def test_an_entry_of_before_gpus_were_counted_is_still_read(storage: Storage) -> None:
    Ledger(storage).open(entry(), "old").close("done", evaluations=9)
    stored = read_json(storage, "ledger/closed/old.json")
    since = ("device", "gpu_seconds", "kwh", "energy_note", "standard", "planned", "pace")
    before = {name: value for name, value in stored.items() if name not in since}
    write_json(storage, "ledger/closed/old.json", before)
    (old,) = Ledger(storage).entries()
    assert (old.evaluations, old.device, old.gpu_seconds, old.kwh, old.pace) == (9, "", 0.0, None, "")
