"""Every sampler that can be named, on Stable Diffusion 1.5: branching, sharing and going on change no bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from hierflow.errors import InputError
from hierflow.hashing import text_hash
from hierflow.stages.making.images import make_partition
from hierflow.stages.making.latents import denoise_trunk
from hierflow_tests.models.families.cases import CASES
from hierflow_tests.models.families.literals import STEPS
from hierflow_tests.models.families.made import PROMPTS, Made
from hierflow_tests.stages.runs import Run, assert_equal, carry_out, planned, spec_of, stage_of

SAMPLERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ddpm": (diffusers.DDPMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "dpmpp_2m_sde": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "deis": (diffusers.DEISMultistepScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, {}),
    "pndm": (diffusers.PNDMScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
}
SEVERAL = {"heun": [2] * (STEPS - 1) + [1], "pndm": [2] + [1] * (STEPS - 1)}
"""Evaluations a step where they are not one each."""


@pytest.fixture(scope="module", params=SAMPLERS)
def sampler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def made(sd15: Path) -> Made:
    return Made(CASES[0], sd15)


@pytest.fixture(scope="module")
def run(made: Made, sampler: str) -> Run:
    """A run with sharing."""
    return carry_out(made.spec(scheduler=sampler))


def scheduler_of(made: Made, name: str) -> Any:
    kind, settings = SAMPLERS[name]
    return kind.from_config(made.case.own_pipeline(made.folder).scheduler.config, **settings)


def test_unshared_images_are_the_pipelines_own(made: Made, sampler: str) -> None:
    pixels = carry_out(made.spec(tau=0.0, prompts=PROMPTS[:2], scheduler=sampler)).pixels()
    for text in PROMPTS[:2]:
        _, own = made.pipelines_own(text, text_hash(text), scheduler_of(made, sampler))
        assert np.array_equal(pixels[text, 0], (own * 255).round().astype(np.uint8))


def test_shared_latents_are_those_of_algorithm_1(made: Made, sampler: str, run: Run) -> None:
    assert run.compiled.plan.is_split.any()
    expected = made.transcribed(run, scheduler_of(made, sampler), SEVERAL.get(sampler))
    latents = run.latents()
    for text in PROMPTS:
        leaf = run.compiled.planted.leaf_of[text_hash(text)]
        assert torch.equal(latents[text, 0], expected[leaf : leaf + 1]), text


def test_what_is_taken_up_from_the_store_goes_on_alike(made: Made, sampler: str, run: Run) -> None:
    """A trunk in one process, and every partition in one of its own."""
    spec = made.spec(scheduler=sampler).model_copy(
        update={"partitions": spec_of(made.folder, max_prompts=1).partitions}
    )
    compiled, prompts = planned(stage_of(spec))
    assert denoise_trunk(stage_of(spec), compiled, prompts, compiled.document.keys) > 0
    for key in compiled.document.keys:
        make_partition(stage_of(spec), compiled, prompts, key)
    assert_equal(carry_out(spec).latents(), run.latents())


def test_books_count_evaluations(sampler: str, run: Run) -> None:
    plan, per_step = run.compiled.plan, SEVERAL.get(sampler, [1] * STEPS)
    assert plan.standard_evaluations == len(PROMPTS) * sum(per_step)
    assert run.account.books.executed == plan.evaluations == int(plan.frontier_sizes.sum())
    assert run.account.books.problems == ()
    ends = np.cumsum(per_step)
    assert set(plan.last.tolist()) <= set(ends.tolist())  # prompts part between steps only
    assert sum(row.evaluations for row in run.assembled.rows) == pytest.approx(plan.evaluations)


def test_an_image_says_how_it_was_sampled(sampler: str, run: Run) -> None:
    from hierflow.images.png import read_provenance

    provenance = read_provenance(run.stage.store.files.read(run.assembled.rows[0].image_path))
    assert (provenance["scheduler"], provenance["steps"], provenance["guidance_scale"]) == (sampler, STEPS, 7.5)


@pytest.mark.parametrize("name", SEVERAL)
def test_grafts_leave_between_steps(made: Made, name: str, tmp_path: Path) -> None:
    counts = SEVERAL[name]
    first, second = (made.spec(scheduler=name, prompts=prompts) for prompts in (PROMPTS, [*PROMPTS, "a red mug 2"]))
    storage = first.storage.model_copy(update={"path": str(tmp_path)})
    before, after = (carry_out(spec.model_copy(update={"storage": storage})) for spec in (first, second))
    assert_equal(before.pixels(), {key: image for key, image in after.pixels().items() if key[0] in PROMPTS})
    assert len(after.compiled.planted.texts) == len(PROMPTS) + 1
    assert set(after.compiled.plan.last.tolist()) <= set(np.cumsum(counts).tolist())
    assert after.account.books.problems == ()


def test_the_models_own_sampler_is_the_default(made: Made) -> None:
    own, named = made.adapter().identity, made.adapter(scheduler="pndm").identity
    assert own.root(0) == named.root(0)


BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
OWN: dict[str, tuple[str, Any]] = {
    "dpm": ("sd15", diffusers.DPMSolverMultistepScheduler(**BETAS)),  # its file says -Infinity
    "edm-dpm": ("sd15", diffusers.EDMDPMSolverMultistepScheduler()),
    "edm-euler": ("sd15", diffusers.EDMEulerScheduler(prediction_type="v_prediction", sigma_max=120.0)),
    "unipc-flow": ("sd3-without-t5", diffusers.UniPCMultistepScheduler(**FLOW, flow_shift=3.0)),
}
"""Schedulers that models come with, and the family of one that does."""


@pytest.fixture(scope="module")
def plain_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Path]]:
    wanted = {family for family, _ in OWN.values()}
    cases = (case for case in CASES if case.name in wanted)
    return {case.name: (case, case.save(tmp_path_factory.mktemp(case.name))) for case in cases}


def with_scheduler(plain: tuple[Any, Path], scheduler: Any, folder: Path) -> Made:
    """The same model, as if it came with another scheduler."""
    case, plain_folder = plain
    shutil.copytree(plain_folder, folder)
    scheduler.save_pretrained(folder / "scheduler")
    return Made(case, folder)


def assert_pipelines_images(made: Made, own: Any, **settings: Any) -> None:
    pixels = carry_out(made.spec(tau=0.0, prompts=PROMPTS[:2], **settings)).pixels()
    for text in PROMPTS[:2]:
        _, image = made.pipelines_own(text, text_hash(text), type(own).from_config(own.config))
        assert np.array_equal(pixels[text, 0], (image * 255).round().astype(np.uint8))


@pytest.mark.parametrize("name", OWN)
def test_images_by_a_models_own_scheduler_are_the_pipelines(
    name: str, plain_folders: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    family, scheduler = OWN[name]
    model = with_scheduler(plain_folders[family], scheduler, tmp_path / "model")
    assert_pipelines_images(model, scheduler)


def test_flow_samplers_keep_a_flow_models_shift(plain_folders: dict[str, tuple[Any, Path]], tmp_path: Path) -> None:
    _, unipc = OWN["unipc-flow"]
    flow_euler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    dpm = diffusers.DPMSolverMultistepScheduler(**FLOW, flow_shift=3.0)
    with_unipc = with_scheduler(plain_folders["sd3-without-t5"], unipc, tmp_path / "unipc")
    assert_pipelines_images(with_unipc, flow_euler, scheduler="flow_euler")
    with_euler = with_scheduler(plain_folders["sd3-without-t5"], flow_euler, tmp_path / "euler")
    assert_pipelines_images(with_euler, dpm, scheduler="dpmpp_2m", scheduler_options=FLOW)


def test_an_edm_solver_branches_and_goes_on_from_the_store(
    plain_folders: dict[str, tuple[Any, Path]], tmp_path: Path
) -> None:
    family, scheduler = OWN["edm-dpm"]
    model = with_scheduler(plain_folders[family], scheduler, tmp_path / "model")
    spec = model.spec().model_copy(update={"partitions": spec_of(model.folder, max_prompts=1).partitions})
    compiled, prompts = planned(stage_of(spec))
    assert denoise_trunk(stage_of(spec), compiled, prompts, compiled.document.keys) > 0
    for key in compiled.document.keys:
        make_partition(stage_of(spec), compiled, prompts, key)
    run = carry_out(spec)
    assert run.compiled.plan.is_split.any()
    expected, latents = model.transcribed(run, scheduler), run.latents()
    for text in PROMPTS:
        leaf = run.compiled.planted.leaf_of[text_hash(text)]
        assert torch.equal(latents[text, 0], expected[leaf : leaf + 1]), text


def test_a_sampler_that_a_flow_pipeline_cannot_set_up_is_refused(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "flux-schnell")
    flux = Made(case, case.save(tmp_path))
    with pytest.raises(InputError) as caught:
        _ = flux.adapter(scheduler="dpmpp_2m", scheduler_options=FLOW).identity
    assert (caught.value.field, caught.value.value) == ("diffusion.scheduler", "dpmpp_2m")


def test_samplers_that_know_nothing_of_flows_are_refused_for_flow_models(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "flux-schnell")
    flux = Made(case, case.save(tmp_path))
    for name in SAMPLERS:
        with pytest.raises(InputError, match=rf"'{name}' does not suit this model, .*take one of flow_euler\."):
            _ = flux.adapter(scheduler=name).identity


def test_a_flow_sampler_is_for_flow_models(made: Made) -> None:
    with pytest.raises(InputError, match=r"diffusion\.scheduler: 'flow_euler' does not suit this model.*ddim, ddpm"):
        _ = made.adapter(scheduler="flow_euler").identity
