"""A set is assessed with a page: its pairs and images as they are, thumbnails of heavy ones, what a sample costs."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from hierflow.scoring.quality import Quality
from hierflow.spec import ImageSetSpec
from hierflow.stages.quality.assessment import assess
from hierflow.stages.quality.baselines import outstanding
from hierflow.stages.reports.assembly import QUALITY_PAGE
from hierflow.stages.reports.image_set import GALLERY, assemble
from hierflow_tests.stages.runs import PROMPTS, Run, carry_out, spec_of

GONE = '<p class="error">Its file is gone.</p>'


def document(model: Path, storage: str, size: int, prompts: list[str] | None = None) -> ImageSetSpec:
    spec = spec_of(model, storage=storage, prompts=prompts)
    return spec.model_copy(update={"scoring": spec.scoring.model_copy(update={"baseline_sample": size})})


def assessed(run: Run) -> Quality:
    return assess(run.stage, run.compiled, run.prompts, run.assembled.rows)


def page_of(run: Run) -> str:
    return run.stage.store.files.read(QUALITY_PAGE).decode()


@pytest.fixture
def storage() -> str:
    return f"memory://{uuid.uuid4().hex}"


def test_every_image_of_every_pair_is_on_the_page(tiny_learned: Path, storage: str) -> None:
    run = carry_out(document(tiny_learned, storage, len(PROMPTS)))
    quality = assessed(run)
    html = page_of(run)
    pictures = {image.path for pair in quality.pairs for image in pair.images.values()}
    assert len(pictures) == 4 * len(PROMPTS)
    assert set(re.findall(r'<a class="tile" href="([^"]*)"', html)) >= pictures
    assert GONE not in html
    assert re.findall(r'<a class="prompt" href="gallery.html#([^"]*)"', html).count(quality.pairs[0].prompt_id) >= 1
    assert quality.page.endswith(QUALITY_PAGE)


def test_heavy_images_have_thumbnails_those_of_baselines_as_well(
    tiny_learned: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hierflow.stages.making.thumbnails.LIGHT", 0)
    run = carry_out(document(tiny_learned, storage, 2))
    quality = assessed(run)
    html = page_of(run)
    shown = dict(re.findall(r'<a class="tile" href="([^"]*)"><img src="([^"]*)"', html))
    for pair in quality.pairs:
        for image in pair.images.values():
            assert shown[image.path].startswith(f"thumbnails/320/{image.sha256[:32]}-")
            assert run.stage.store.files.exists(shown[image.path])


def test_a_pair_of_a_prompt_that_went_stays_and_tells_that_its_image_was_pruned(
    tiny_learned: Path, storage: str
) -> None:
    first = assessed(carry_out(document(tiny_learned, storage, len(PROMPTS))))
    retired = next(pair for pair in first.pairs if pair.prompt == PROMPTS[-1])
    run = carry_out(document(tiny_learned, storage, len(PROMPTS), PROMPTS[:-1]))
    run.stage.store.files.delete(retired.images["shared"].path)
    assessed(run)
    html = page_of(run)
    assert html.count(GONE) == 1
    assert f"gallery.html#{retired.prompt_id}" not in html


def test_without_a_sample_the_page_tells_what_one_would_take(tiny_learned: Path, storage: str) -> None:
    run = carry_out(document(tiny_learned, storage, 0))
    assert assessed(run).pairs == ()
    evaluations = outstanding(run.stage, run.compiled, run.prompts, len(PROMPTS))
    assert evaluations > 2 * len(PROMPTS) * run.stage.spec.diffusion.steps
    html = re.sub(r"\s+", " ", page_of(run))
    assert f"baseline_sample: {len(PROMPTS)}" in html
    assert f"at most {evaluations:,} evaluations" in html
    assert f"the set’s own {run.compiled.plan.evaluations:,}" in html


def test_the_gallery_leads_to_the_page_where_there_is_one(tiny_learned: Path, storage: str) -> None:
    run = carry_out(document(tiny_learned, storage, 0))
    files = run.stage.store.files
    assert QUALITY_PAGE not in files.read(GALLERY).decode()
    assemble(run.stage, run.compiled, run.prompts, QUALITY_PAGE)
    assert f'<a href="{QUALITY_PAGE}">' in files.read(GALLERY).decode()
