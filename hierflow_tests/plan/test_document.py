"""Plan documents."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from hierflow.hashing import digest
from hierflow.plan.document import document_from
from hierflow_tests.store.examples import compiled


def test_whatever_decides_what_a_run_makes_gives_another_plan_id() -> None:
    document = compiled().document
    others = [
        replace(document, tau=0.9),
        replace(document, images_per_prompt=1),
        replace(document, sampling=replace(document.sampling, seed=1)),
        replace(document, partitions=document.partitions[::-1]),
        replace(document, tombstones=()),
        replace(document, scorers={"clip_similarity": "2"}),
        replace(document, decoder="other"),
    ]
    assert len({document.id, *(other.id for other in others)}) == 1 + len(others)


def test_what_is_left_out_is_part_of_the_id_and_plans_that_leave_nothing_out_keep_theirs() -> None:
    document = compiled().document
    before = {name: value for name, value in asdict(document).items() if name != "left_out"}
    assert document.id == digest("hierflow plan 1", before)
    assert document_from(json.loads(json.dumps(before))) == document
    other = replace(document, left_out={"p1": "the prior gave NaN"})
    assert other.id != document.id
    assert document_from(json.loads(json.dumps(asdict(other)))).id == other.id
