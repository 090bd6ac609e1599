"""What becomes of partition keys while a user edits the prompts: one plan after the other in one store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hierflow.hashing import text_hash
from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.identity import SamplingIdentity
from hierflow.prompts import PromptSet
from hierflow.spec import ImageSetSpec
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings
from hierflow.stages.planning.make_plan import adopt, make_plan

SAMPLING = SamplingIdentity("net", {"class": "DDPM"}, 4.0, 64, 64, "float32", 0, "per_root", 4)
ADAPTER = SimpleNamespace(
    encoder_fingerprint="enc",
    decoder_fingerprint="dec",
    clip_fingerprint="clip",
    safety_checker=None,
    identity=SAMPLING,
)
DIRECTION = {"mug": 0, "chair": 1, "lamp": 2, "sofa": 3}


def embedded(texts: Sequence[str]) -> Embeddings:
    """Texts such as "mug 3": prompts of one product lie close together, those of two far apart."""
    by_hash = dict(sorted((text_hash(text), text) for text in texts))
    vectors = []
    for text in by_hash.values():
        product, number = text.split()
        vectors.append(np.eye(5)[DIRECTION[product]] + 0.01 * int(number) * np.eye(5)[4])
    return Embeddings(tuple(by_hash.values()), tuple(by_hash), np.array(vectors), 0)


def several(product: str, *numbers: int) -> list[str]:
    return [f"{product} {number}" for number in numbers]


class Session:
    """A user who plans again after every edit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self, texts: Sequence[str], *, max_prompts: int = 4, tau: float = 1.0, steps: int = 6) -> CompiledPlan:
        spec = ImageSetSpec.model_validate(
            {
                "name": "demo",
                "prompts": {"text": list(texts)},
                "diffusion": {"steps": steps},
                "sharing": {"tau": tau},
                "partitions": {"max_prompts": max_prompts},
                "storage": {"path": str(self.folder)},
            }
        )
        stage = Stage(spec, self.folder, None, run="r", invocation="i")
        stage.__dict__["adapter"] = ADAPTER
        compiled = make_plan(stage, PromptSet(tuple(text_hash(t)[:8] for t in texts), tuple(texts)), embedded(texts))
        adopt(stage, compiled)
        return compiled


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def key_of(compiled: CompiledPlan, text: str) -> str:
    return compiled.partition_of_text()[text_hash(text)]


MUGS, CHAIRS = several("mug", 1, 2, 3, 4), several("chair", 1, 2, 3, 4)


def test_keys_name_the_most_central_prompt(session: Session) -> None:
    compiled = session.plan([*MUGS, *CHAIRS])
    assert sorted(key.split("-")[0] for key in compiled.document.keys) == ["chair", "mug"]
    assert compiled.document.tombstones == ()


def test_planning_the_same_again_changes_nothing(session: Session) -> None:
    first, second = session.plan([*MUGS, *CHAIRS]), session.plan([*CHAIRS, *MUGS][::-1])
    assert [p.key for p in first.document.partitions] == [p.key for p in second.document.partitions]
    assert {p.slice for p in first.document.partitions} == {p.slice for p in second.document.partitions}


def test_an_edited_prompt_moves_no_key_and_no_other_partitions_slice(session: Session) -> None:
    first = session.plan([*MUGS, *CHAIRS])
    second = session.plan([*several("mug", 1, 2, 3, 9), *CHAIRS])
    assert set(first.document.keys) == set(second.document.keys)
    chair = key_of(first, "chair 1")
    mug = key_of(first, "mug 1")
    assert first.document.partition(chair).slice == second.document.partition(chair).slice
    assert first.document.partition(mug).slice != second.document.partition(mug).slice


def test_a_key_whose_prompts_all_go_becomes_a_tombstone(session: Session) -> None:
    first = session.plan([*MUGS, *CHAIRS])
    second = session.plan(CHAIRS)
    assert second.document.tombstones == (key_of(first, "mug 1"),)
    assert second.document.keys == [key_of(first, "chair 1")]


def test_tombstones_are_remembered_from_plan_to_plan(session: Session) -> None:
    first = session.plan([*MUGS, *CHAIRS])
    session.plan(CHAIRS)
    third = session.plan([*CHAIRS, *several("lamp", 1, 2)])
    assert third.document.tombstones == (key_of(first, "mug 1"),)


def test_prompts_that_come_back_revive_their_tombstone(session: Session) -> None:
    first = session.plan([*MUGS, *CHAIRS])
    session.plan(CHAIRS)
    back = session.plan([*MUGS, *CHAIRS])
    assert back.document.tombstones == ()
    assert key_of(back, "mug 1") == key_of(first, "mug 1")
    assert back.document.id == first.document.id


def test_a_bin_split_in_two_leaves_the_key_with_the_greater_part(session: Session) -> None:
    whole = session.plan([*several("mug", 1, 2, 3), *several("chair", 1, 2)], max_prompts=8)
    parted = session.plan([*several("mug", 1, 2, 3), *several("chair", 1, 2)], max_prompts=3)
    assert key_of(parted, "mug 1") == whole.document.keys[0]
    assert key_of(parted, "chair 1") != whole.document.keys[0]
    assert parted.document.tombstones == ()


def test_another_bin_size_moves_no_slice_of_a_bin_that_stays(session: Session) -> None:
    first = session.plan([*MUGS, *CHAIRS, *several("lamp", 1, 2), *several("sofa", 1, 2)], max_prompts=4)
    second = session.plan([*MUGS, *CHAIRS, *several("lamp", 1, 2), *several("sofa", 1, 2)], max_prompts=5)
    assert {key_of(second, "mug 1"), key_of(second, "chair 1")} <= set(first.document.keys)
    for text in ("mug 1", "chair 1"):
        slices = [c.document.partition(key_of(c, text)).slice for c in (first, second)]
        assert slices[0] == slices[1]


def test_keys_are_unique_and_cover_every_prompt(session: Session) -> None:
    texts = [f"{product} {number}" for product in DIRECTION for number in range(1, 12)]
    compiled = session.plan(texts, max_prompts=3)
    keys = compiled.document.keys
    assert len(set(keys)) == len(keys)
    assert sorted(hash_ for key in keys for hash_ in compiled.texts_of(key)) == sorted(map(text_hash, texts))


def test_the_plans_evaluations_are_those_of_its_partitions_and_the_trunk(session: Session) -> None:
    compiled = session.plan([*MUGS, *CHAIRS], tau=5.0)
    plan = compiled.plan
    counted = [
        int((plan.last[segments] - plan.first[segments] + 1).sum())
        for segments in (compiled.segments_of(key) for key in (None, *compiled.document.keys))
    ]
    assert sum(counted) == compiled.document.planned == plan.evaluations
    assert counted[0] > 0


def test_a_partition_the_plan_does_not_have_is_a_key_error(session: Session) -> None:
    with pytest.raises(KeyError, match="no partition 'nowhere'"):
        session.plan(MUGS).document.partition("nowhere")
