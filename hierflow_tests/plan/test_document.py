"""Plan documents."""

from __future__ import annotations

from dataclasses import replace

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
