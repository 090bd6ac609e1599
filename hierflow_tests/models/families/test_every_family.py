"""What must hold of every family, on a tiny model in its own format."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hierflow.errors import InputError
from hierflow.hashing import text_hash
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec
from hierflow.stages.making.images import make_partition
from hierflow.stages.making.latents import denoise_trunk
from hierflow_tests.models.families.literals import STEPS
from hierflow_tests.models.families.made import PROMPTS, Made
from hierflow_tests.models.literal import overheard
from hierflow_tests.stages.runs import Run, assert_equal, carry_out, planned, spec_of, stage_of
from hierflow_tests.tiny_models import SIZE

OWN_EVALUATIONS = {"sd15": [2] + [1] * (STEPS - 1)}
"""PNDM, which Stable Diffusion 1.5 comes with, takes its first step twice."""


def test_a_folder_is_known_by_its_index(made: Made) -> None:
    source = locate(DiffusionSpec(model=str(made.folder)), made.folder)
    assert source.family.pipeline == made.case.pipeline
    assert source.prior is None


def test_everything_a_prediction_is_given_matters(made: Made) -> None:
    adapter = made.adapter()
    rows = adapter.encode(PROMPTS[:2], [text_hash(text) for text in PROMPTS[:2]])
    conditioning = {name: torch.from_numpy(array) for name, array in rows.items()}
    latents = adapter.initial_latents([torch.Generator().manual_seed(seed) for seed in range(2)])

    def prediction(latents: torch.Tensor = latents, index: int = 1, **other: torch.Tensor) -> torch.Tensor:
        return adapter.predict(latents, index, {**conditioning, **other})

    usual = prediction()
    changed = [prediction(latents * 1.1), prediction(index=3)]
    changed += [prediction(**{name: conditioning[name].flip(0) + 0.1}) for name in adapter.names]
    for output in changed:
        assert ((output - usual).norm() / usual.norm()).item() > 0.01


def test_a_prompt_is_encoded_alike_whoever_stands_beside_it(made: Made) -> None:
    adapter = made.adapter()
    hashes = [text_hash(text) for text in PROMPTS]
    whole, alone = adapter.encode(PROMPTS, hashes), adapter.encode(PROMPTS[2:3], hashes[2:3])
    for name, array in alone.items():
        assert array.dtype == np.float32
        assert np.array_equal(array[0], whole[name][2])
    vectors = adapter.tree_embeddings(whole)
    assert vectors.dtype == np.float64
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (directions @ directions.T)[np.triu_indices(len(PROMPTS), 1)].max() < 0.999


def test_a_prompt_that_is_cut_off_is_told_of_once_and_by_hierflow(made: Made) -> None:
    long, adapter = "a red mug " * 80, made.adapter()
    with overheard() as said:
        (warning,) = adapter.warnings([*PROMPTS, long])
        adapter.encode([long], [text_hash(long)])
    assert warning.startswith("1 prompts are longer than the ")
    assert said == []


@pytest.mark.parametrize("negative", [None, "a dog"])
def test_unshared_images_are_the_pipelines_own(made: Made, negative: str | None) -> None:
    if negative and not made.case.negative:
        with pytest.raises(InputError, match=r"diffusion\.negative_prompt: 'a dog' means nothing to "):
            made.adapter(negative_prompt=negative)
        return
    run = carry_out(made.spec(tau=0.0, prompts=PROMPTS[:2], negative_prompt=negative))
    latents, pixels = run.latents(), run.pixels()
    for text in PROMPTS[:2]:
        key = text_hash(text)
        expected, image = made.pipelines_own(text, key, negative=negative)
        assert torch.equal(latents[text, 0][0], expected)
        assert np.array_equal(pixels[text, 0], (image * 255).round().astype(np.uint8))
    assert not np.array_equal(pixels[PROMPTS[0], 0], pixels[PROMPTS[1], 0])


def test_shared_latents_are_those_of_algorithm_1(made: Made, shared: Run) -> None:
    assert shared.compiled.plan.is_split.any()
    expected, latents = made.transcribed(shared, evaluations=OWN_EVALUATIONS.get(made.case.name)), shared.latents()
    for text in PROMPTS:
        leaf = shared.compiled.planted.leaf_of[text_hash(text)]
        assert torch.equal(latents[text, 0], expected[leaf : leaf + 1]), text
    assert shared.account.books.problems == ()


def test_what_is_taken_up_from_the_store_goes_on_alike(made: Made, shared: Run) -> None:
    spec = made.spec().model_copy(update={"partitions": spec_of(made.folder, max_prompts=1).partitions})
    compiled, prompts = planned(stage_of(spec))
    denoise_trunk(stage_of(spec), compiled, prompts, compiled.document.keys)
    for key in compiled.document.keys:
        make_partition(stage_of(spec), compiled, prompts, key)
    assert_equal(carry_out(spec).latents(), shared.latents())


def test_the_order_of_the_prompts_changes_no_bit(made: Made, shared: Run) -> None:
    assert_equal(carry_out(made.spec(prompts=PROMPTS[::-1])).pixels(), shared.pixels())


def test_there_is_no_score_without_a_vision_tower(shared: Run) -> None:
    assert shared.compiled.document.scorers == {}
    assert [dict(row.scores) for row in shared.assembled.rows] == [{}] * len(PROMPTS)


def test_the_same_networks_serve_other_settings(made: Made) -> None:
    adapter = made.adapter()
    assert adapter.varied(negative_prompt=None, width=None, height=None) is adapter
    assert adapter.varied(negative_prompt=None, width=SIZE, height=SIZE) is adapter
    if made.case.one_size:
        with pytest.raises(InputError, match=rf"diffusion\.width: {SIZE * 2} is more than .*; take {SIZE}"):
            adapter.varied(negative_prompt=None, width=SIZE * 2, height=None)
        return
    other = adapter.varied(negative_prompt="a dog" if made.case.negative else None, width=SIZE * 2, height=None)
    assert (other.width, other.height) == (SIZE * 2, SIZE)
    assert other.network is adapter.network
    assert other.identity.root(0) != adapter.identity.root(0)
    assert (other.encoder_fingerprint != adapter.encoder_fingerprint) is made.case.negative
    generators = [torch.Generator().manual_seed(0)]
    images = [np.stack(one.decode(one.initial_latents(generators))) for one in (adapter, other, adapter)]
    assert [image.shape for image in images] == [(1, SIZE, side, 3) for side in (SIZE, SIZE * 2, SIZE)]


def test_a_size_that_cannot_be_drawn_is_refused(made: Made) -> None:
    multiple = made.adapter().size_multiple
    with pytest.raises(InputError, match=rf"diffusion\.height: .* is not a multiple of {multiple}, .*take"):
        made.adapter(height=SIZE - multiple // 2)
