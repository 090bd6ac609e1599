"""Compiled plans: who holds which segment and which prompt."""

from __future__ import annotations

import numpy as np

from hierflow_tests.store.examples import compiled


def test_partitions_and_trunk_hold_every_segment_once() -> None:
    plan = compiled(12, tau=3.0)
    parts = [plan.segments_of(key) for key in (None, *plan.document.keys)]
    assert sorted(np.concatenate(parts)) == list(range(len(plan.plan.nodes)))
    assert len(parts[0]) > 0
    for part in parts:
        assert (np.diff(part) > 0).all()


def test_every_text_has_one_partition() -> None:
    plan = compiled(12)
    where = plan.partition_of_text()
    assert where.keys() == set(plan.planted.texts)
    for key in plan.document.keys:
        assert plan.texts_of(key) == sorted(text for text, home in where.items() if home == key)
