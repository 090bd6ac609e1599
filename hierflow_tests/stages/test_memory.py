"""Sets whose tree the machine cannot hold: refused before anything is encoded, but a tree that is kept may grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierflow.errors import InputError
from hierflow.generate import generate
from hierflow.stages.overview.outlook import look_ahead
from hierflow.stages.overview.preflight import check_memory
from hierflow.stages.planning.make_plan import WHOLE
from hierflow.terminal.plan import describe_plan
from hierflow.tree import memory
from hierflow_tests.stages.runs import PROMPTS, carry_out, spec_of, stage_of

MORE = [*PROMPTS, "a red stool"]


@pytest.fixture
def room_for_six(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: memory.tree_bytes(len(PROMPTS)))


@pytest.mark.usefixtures("room_for_six")
def test_a_new_tree_is_refused_before_a_prompt_is_encoded(tiny_learned: Path, tmp_path: Path) -> None:
    stage = stage_of(spec_of(tiny_learned, prompts=MORE, storage=tmp_path / "out"))
    with pytest.raises(InputError, match="prompts: 7 different prompts are too many for one tree"):
        look_ahead(stage)
    with pytest.raises(InputError, match="split the set"):
        generate(MORE, model=str(tiny_learned), steps=3, prior_steps=2, storage=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("room_for_six")
def test_a_kept_tree_may_grow_beyond_it_but_not_be_founded_anew(tiny_learned: Path, tmp_path: Path) -> None:
    carry_out(spec_of(tiny_learned, storage=tmp_path))
    spec = spec_of(tiny_learned, prompts=MORE, storage=tmp_path)
    outlook = look_ahead(stage_of(spec))
    assert outlook.edit is not None
    assert (outlook.edit.new, outlook.edit.rebuild, outlook.comparison) == (1, None, None)
    assert outlook.as_json()["regret"] is None
    assert "not compared with a fresh one" in describe_plan(outlook)
    assert carry_out(spec).assembled.complete
    stage = stage_of(spec)
    check_memory(stage, outlook.prompts)
    with pytest.raises(InputError, match="7 different prompts are too many"):
        check_memory(stage, outlook.prompts, WHOLE)
    with pytest.raises(InputError, match="7 different prompts are too many"):
        look_ahead(stage_of(spec_of(tiny_learned, prompts=MORE, storage=tmp_path, seed=1)))
