"""Negative prompts that rows set, with families whose conditioning is more than CLIP's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hierflow.images import decode_png
from hierflow_tests.models.families.cases import CASES, Case
from hierflow_tests.models.families.made import PROMPTS, SPLITTING, Made
from hierflow_tests.stages.runs import Run, carry_out

LONGER = "a blurred drawing of a dog that is far too dark"


def images(run: Run) -> dict[tuple[str, str], np.ndarray]:
    """The images by prompt and negative prompt."""
    files = run.stage.store.files
    return {(row.prompt, row.negative_prompt): decode_png(files.read(row.image_path)) for row in run.assembled.rows}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in ("qwen-image", "stable-unclip")], ids=lambda case: case.name
)
def test_a_rows_images_are_those_of_a_set_with_its_negative_prompt(case: Case, tmp_path: Path) -> None:
    made = Made(case, case.save(tmp_path / "model"))
    rows = [f"{place},{text},{LONGER if place % 2 else ''}" for place, text in enumerate(PROMPTS)]
    (tmp_path / "prompts.csv").write_text("\n".join(["id,prompt,negative_prompt", *rows]) + "\n", "utf-8")
    source = {"table": str(tmp_path / "prompts.csv"), "id_column": "id"}
    run = carry_out(made.spec(prompts=source, negative_prompt="noise"))  # type: ignore[arg-type]
    mixed = images(run)
    expected = {
        key: image
        for negative in ("noise", LONGER)
        for key, image in images(carry_out(made.spec(negative_prompt=negative))).items()
    }
    assert mixed.keys() == {(text, LONGER if place % 2 else "noise") for place, text in enumerate(PROMPTS)}
    for key, image in mixed.items():
        assert np.array_equal(image, expected[key]), key
    assert not np.array_equal(expected[PROMPTS[0], "noise"], expected[PROMPTS[0], LONGER])
    assert run.stage.spec.sharing.tau == SPLITTING
    assert run.account.books.problems == ()
