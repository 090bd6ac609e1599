"""The books balance: what was executed is what was planned, less what was there, plus what was done again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hierflow.audit.books import Books, keep_books
from hierflow.store.ledger import Entry, Work, clipped

# Two prompts share steps 1-4 and go alone through 5-10: 16 evaluations where 20 are standard.
SHARED, LEFT, RIGHT = Work("shared", 1, 4), Work("left", 5, 10), Work("right", 5, 10)
PLAN = (SHARED, LEFT, RIGHT)
STANDARD = 20


def run(invocation: str, *work: Work, at: float = 0.0, status: str = "done", **fields: Any) -> Entry:
    """An entry that ran for one second and whose hook agrees with its list."""
    evaluations = sum(w.last - w.first + 1 for w in work)
    entry = Entry(f"run of {invocation} at {at}", invocation, "partition", started=at, ended=at + 1, work=work)
    return replace(entry, status=status, evaluations=evaluations, **fields)


def books(entries: Sequence[Entry], own: str = "me", planned: Sequence[Work] = PLAN, **fields: Any) -> Books:
    return keep_books(STANDARD, planned, entries, lambda entry: entry.invocation == own, **fields)


def states(*work: Work) -> set[tuple[str, int]]:
    return {(w.chain, step) for w in work for step in range(w.first, w.last + 1)}


def figures(kept: Books) -> dict[str, int]:
    """What is not zero, of the figures that explain `executed`."""
    names = ("executed", "reused", "replayed", "redone", "outstanding", "unaccounted")
    return {name: getattr(kept, name) for name in names if getattr(kept, name)}


def test_a_fresh_run_executes_the_plan() -> None:
    kept = books([run("me", *PLAN)])
    assert figures(kept) == {"executed": 16}
    assert (kept.standard, kept.planned, kept.noted) == (20, 16, 16)
    assert kept.saved == 1 - 16 / 20
    assert kept.balanced


def test_a_second_run_reuses_everything() -> None:
    kept = books([run("earlier", *PLAN)])
    assert figures(kept) == {"reused": 16}
    assert kept.balanced


def test_trunk_and_partitions_of_one_invocation_are_added_up() -> None:
    kept = books([run("me", SHARED), run("me", LEFT, at=1.0), run("me", RIGHT, at=2.0)])
    assert figures(kept) == {"executed": 16}
    assert kept.balanced


def test_what_a_killed_run_did_again_is_redone_and_its_gap_is_bounded() -> None:
    killed = run("earlier", *clipped(PLAN, 7), status="lost", unaccounted=2)
    resumed = run("me", Work("left", 6, 10), Work("right", 6, 10), at=5.0)
    kept = books([killed, resumed])
    assert figures(kept) == {"executed": 10, "reused": 10, "redone": 4, "unaccounted": 2}
    assert kept.balanced


def test_what_is_done_again_within_one_invocation_is_redone() -> None:
    kept = books([run("me", *clipped(PLAN, 6), status="failed"), run("me", *PLAN, at=5.0)])
    assert figures(kept) == {"executed": 24, "redone": 8}
    assert kept.balanced


def test_getting_from_a_stored_state_to_a_new_branch_is_replayed() -> None:
    # The prompt on the right was replaced: its way leaves the shared node one step earlier than stored states reach.
    planned = (SHARED, LEFT, Work("new", 5, 10))
    kept = books(
        [run("earlier", *PLAN), run("me", Work("shared", 3, 4), Work("new", 5, 10), at=5.0)], planned=planned
    )
    assert figures(kept) == {"executed": 8, "reused": 10, "replayed": 2}
    assert kept.balanced


def test_what_a_damaged_file_made_necessary_is_redone() -> None:
    again = run("me", Work("left", 9, 10), at=5.0, damaged=("some state",))
    kept = books([run("earlier", *PLAN), again])
    assert figures(kept) == {"executed": 2, "reused": 16, "redone": 2}
    assert kept.balanced


def test_two_workers_of_one_invocation_that_compute_the_same_are_booked_as_redone() -> None:
    kept = books([run("me", SHARED, LEFT), run("me", SHARED, RIGHT, at=0.1)])
    assert figures(kept) == {"executed": 20, "redone": 4}
    assert kept.balanced


def test_two_invocations_at_once_are_booked_as_new_for_the_first_and_redone_for_the_second() -> None:
    entries = [run("first", *PLAN, at=0.0), run("second", *PLAN, at=0.5)]
    assert figures(books(entries, "first")) == {"executed": 16}
    assert figures(books(entries, "second")) == {"executed": 16, "reused": 16, "redone": 16}
    assert books(entries, "first").balanced
    assert books(entries, "second").balanced


def test_later_invocations_do_not_change_an_earlier_ones_books() -> None:
    first = run("first", *PLAN)
    alone = books([first], "first")
    assert books([first, run("later", Work("shared", 3, 4), at=5.0)], "first") == alone
    assert books([first, run("later", *PLAN, at=5.0, status="failed")], "first") == alone


def test_a_failed_partition_leaves_what_only_leads_to_it_outstanding() -> None:
    failed = run("me", *clipped([RIGHT], 7), at=1.0, status="failed")
    kept = books([run("me", SHARED, LEFT), failed], unmade=states(RIGHT))
    assert figures(kept) == {"executed": 13, "outstanding": 3}
    assert kept.balanced


def test_what_an_earlier_run_got_done_before_it_failed_is_not_outstanding() -> None:
    earlier = run("earlier", SHARED, *clipped([RIGHT], 7), status="failed")
    kept = books([earlier, run("me", LEFT, at=5.0)], unmade=states(RIGHT))
    assert figures(kept) == {"executed": 6, "reused": 4 + 3, "outstanding": 3}
    assert kept.balanced


def test_a_plan_that_nobody_has_run_is_outstanding() -> None:
    kept = books([], unmade=states(*PLAN))
    assert figures(kept) == {"outstanding": 16}
    assert kept.balanced


def test_a_hook_that_counts_otherwise_than_the_ledger_lists_is_a_problem() -> None:
    kept = books([replace(run("me", *PLAN), evaluations=17)])
    assert not kept.balanced
    assert "the hook counted 17 evaluations, the ledger lists 16" in kept.problems


def test_work_for_states_the_plan_does_not_hold_is_a_problem() -> None:
    kept = books([run("me", *PLAN, Work("astray", 1, 3))])
    assert kept.problems == ("3 evaluations were executed for states that the plan does not hold",)


def test_a_plan_that_lists_a_state_twice_is_a_problem() -> None:
    kept = books([run("me", *PLAN)], planned=(*PLAN, Work("left", 5, 6)))
    assert kept.problems == ("the plan counts 18 evaluations, but only 16 distinct states",)


def test_entries_without_denoising_count_nothing() -> None:
    encoding = Entry("r", "me", "embeddings", prior_evaluations=50)
    assert books([encoding, run("me", *PLAN)]) == books([run("me", *PLAN)])


def test_an_entry_of_a_killed_run_that_nobody_can_read_is_told_beside_the_balance() -> None:
    kept = keep_books(STANDARD, PLAN, [run("me", *PLAN)], lambda entry: True, illegible=["ledger/open/x.json"])
    assert kept.balanced
    assert kept.illegible == ("ledger/open/x.json",)
    kept = keep_books(STANDARD, PLAN, [run("me", *PLAN)], lambda entry: True, unreadable=["ledger/closed/x.json"])
    assert not kept.balanced


def test_the_gaps_of_all_killed_runs_are_added_up() -> None:
    assert books([run("a", status="lost", unaccounted=2), run("me", status="lost", unaccounted=3)]).unaccounted == 5


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from(["me", "other"]),
            st.sampled_from(["done", "failed", "lost"]),
            st.lists(st.tuples(st.sampled_from(PLAN), st.integers(0, 5), st.integers(0, 5)), max_size=3),
        ),
        max_size=6,
    )
)
def test_whatever_happened_in_whatever_order_the_books_balance(
    pieces: list[tuple[str, str, list[tuple[Work, int, int]]]],
) -> None:
    entries = []
    for at, (who, status, parts) in enumerate(pieces):
        work = [
            Work(w.chain, w.first + a, min(w.last, w.first + a + b)) for w, a, b in parts if w.first + a <= w.last
        ]
        entries.append(run(who, *work, at=2.0 * at, status=status))
    ever = {state for entry in entries for state in states(*entry.work)}
    kept = books(entries, unmade=states(*PLAN))
    assert kept.balanced
    assert kept.executed == kept.planned - kept.reused - kept.outstanding + kept.replayed + kept.redone
    assert min(figures(kept).values(), default=0) >= 0
    assert kept.outstanding >= len(states(*PLAN) - ever)
