"""Which invocation made which images first, and what sharing saved on them, by the ledger alone."""

from __future__ import annotations

from collections.abc import Sequence

from hierflow.audit.books import State, states_of
from hierflow.store.ledger import MEASURED, Entry


class Flow:
    """The images that there have ever been, by the invocation that was the first to finish them.

    Args:
        entries: the ledger, oldest first.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._first: dict[State, str] = {}
        self._lent: dict[State, str] = {}
        self._paid = {(paid.chain, paid.last) for entry in entries for paid in entry.paid or ()}
        for entry in entries:
            for state in states_of(entry.lent):
                self._lent.setdefault(state, entry.invocation)
            for work in entry.work if entry.stage != MEASURED else ():
                self._first.setdefault((work.chain, work.last), entry.invocation)

    def made_by(self, own: Sequence[Entry]) -> tuple[int, int] | None:
        """How many images an invocation, of these entries, was the first to finish, and the evaluations it saved.

        An image is a last state that somebody has paid for: what fails or is never decoded is not paid.
        """
        making = [entry for entry in own if entry.plan and entry.stage != MEASURED]
        if any(entry.paid is None or not entry.steps for entry in making):
            return None
        invocation = own[0].invocation
        ends = {(work.chain, work.last): entry.steps for entry in making for work in entry.work}
        standard = [
            steps
            for end, steps in ends.items()
            if end[1] == steps and end in self._paid and self._first[end] == invocation
        ]
        lent = {state for entry in making for state in states_of(entry.lent) if self._lent[state] == invocation}
        return len(standard), sum(standard) - sum(entry.evaluations for entry in making) - len(lent)
