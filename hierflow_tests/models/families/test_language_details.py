"""What is the families' own whose text encoder is a language model: Qwen-Image and FLUX.2."""

from __future__ import annotations

import inspect
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from hierflow.errors import InputError
from hierflow.models.families import FAMILIES, flux2
from hierflow.models.families.conversation import own_tokens
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.registry import open_model
from hierflow.spec import DiffusionSpec
from hierflow_tests.models.families.cases import CASES
from hierflow_tests.tiny_models import SIZE, save_tiny_flux2, save_tiny_flux2_klein, save_tiny_qwen_image

KLEIN = next(case for case in CASES if case.name == "flux2-klein")


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen_image(tmp_path_factory.mktemp("qwen"))


def opened(folder: Path, **settings: object) -> PipelineAdapter:
    given = {"model": str(folder), "steps": 4, "height": SIZE, "width": SIZE, **settings}
    adapter = open_model(DiffusionSpec.model_validate(given), folder)
    assert isinstance(adapter, PipelineAdapter)
    return adapter


def rows_of(adapter: PipelineAdapter, texts: list[str]) -> dict[str, torch.Tensor]:
    made = adapter.encode(texts, ["0"] * len(texts))
    return {name: torch.from_numpy(array) for name, array in made.items()}


def test_padding_a_text_changes_qwen_images_predictions_by_no_more_than_rounding(qwen: Path) -> None:
    adapter = opened(qwen)
    rows = rows_of(adapter, ["a red mug"])
    length = int(rows["prompt_embeds_mask"].sum())
    assert length < 40 < rows["prompt_embeds"].shape[1]
    latents = adapter.initial_latents([torch.Generator().manual_seed(0)])
    cut = {name: row[:, :length] if not name.startswith("negative_") else row for name, row in rows.items()}
    padded, plain = (adapter.predict(latents, 1, given) for given in (rows, cut))
    assert torch.allclose(padded, plain, atol=1e-5)
    unmasked = {**rows, "prompt_embeds_mask": torch.ones_like(rows["prompt_embeds_mask"])}
    assert not torch.allclose(adapter.predict(latents, 1, unmasked), plain, atol=1e-2)


def test_qwen_image_attends_to_a_mean_as_far_as_its_longest_prompt_goes(qwen: Path) -> None:
    adapter = opened(qwen)
    rows = rows_of(adapter, ["a mug", "a mug that is longer"])
    mean = {name: row.mean(dim=0, keepdim=True) for name, row in rows.items()}
    union = {**mean, "prompt_embeds_mask": (rows["prompt_embeds_mask"].sum(dim=0, keepdim=True) > 0).float()}
    assert set(mean["prompt_embeds_mask"].unique().tolist()) == {0.0, 0.5, 1.0}
    latents = adapter.initial_latents([torch.Generator().manual_seed(0)])
    assert torch.equal(adapter.predict(latents, 1, mean), adapter.predict(latents, 1, union))


def test_qwen_image_is_guided_away_from_a_blank_unless_guidance_is_off(
    qwen: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    usual, blank = opened(qwen), opened(qwen, negative_prompt=" ")
    rows = rows_of(usual, ["a cat"])
    assert np.array_equal(rows["negative_prompt_embeds"], rows_of(blank, ["a cat"])["negative_prompt_embeds"])
    assert usual.identity.guidance_scale == 4.0
    off = opened(qwen, guidance_scale=1.0)
    assert (usual.rows_per_evaluation, off.rows_per_evaluation) == (2, 1)
    latents = off.initial_latents([torch.Generator().manual_seed(0)])
    assert not torch.equal(off.predict(latents, 1, rows), opened(qwen).predict(latents, 1, rows))
    off.decode(latents)
    assert "guidance" not in capfd.readouterr().err


def test_a_distilled_klein_does_without_guidance(tmp_path: Path) -> None:
    adapter = opened(save_tiny_flux2_klein(tmp_path, distilled=True))
    assert (adapter.identity.guidance_scale, adapter.rows_per_evaluation) == (0.0, 1)
    rows = {name: row.expand(8, *row.shape[1:]) for name, row in rows_of(adapter, ["a cat"]).items()}
    assert set(rows) == {"prompt_embeds", "pooled"}
    latents = adapter.initial_latents([torch.Generator().manual_seed(0) for _ in range(8)])
    scheduler = FlowMatchEulerDiscreteScheduler()
    with torch.no_grad():
        t = adapter.sampler.scheduler.timesteps[1]
        expected = KLEIN.predict(KLEIN.own_pipeline(tmp_path), scheduler, 0.0, latents, t, rows)
    assert torch.equal(adapter.predict(latents, 1, rows), expected)
    with pytest.raises(InputError, match=r"diffusion\.guidance_scale: 4\.0 means nothing to this model"):
        opened(tmp_path, guidance_scale=4.0)


@pytest.mark.parametrize("padding", ["left", "right"])
def test_flux2_clusters_by_a_textsown_tokens(padding: str) -> None:
    def own(tokens: list[int]) -> list[int]:
        empty = 8 - len(tokens)
        ids = [0] * empty + tokens if padding == "left" else tokens + [0] * empty
        mask = [0] * empty + [1] * len(tokens) if padding == "left" else [1] * len(tokens) + [0] * empty
        places = own_tokens(torch.tensor(ids), torch.tensor(mask), [1, 2, 3, 3])
        return [ids[place] for place in places]

    assert own([1, 2, 7, 8, 3, 3]) == [7, 8]
    assert own([1, 2, 3, 3, 3]) == [3]
    assert own([1, 2, 3, 3]) == [1, 2, 3, 3]


def test_the_conversation_around_a_text_counts_as_read(tmp_path: Path) -> None:
    adapter = opened(save_tiny_flux2_klein(tmp_path))
    before = adapter.encoder_fingerprint
    assert adapter.warnings(["a" * 500]) == []
    assert "longer than the 512 tokens" in adapter.warnings(["a" * 511])[0]
    (tmp_path / "tokenizer" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert opened(tmp_path, seed=1).warnings(["a" * 511]) == []
    assert opened(tmp_path, seed=1).encoder_fingerprint != before


def test_flux2_dev_says_when_its_processor_lacks_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = save_tiny_flux2(tmp_path) / "model_index.json"
    index.write_text(index.read_text("utf-8").replace("Qwen2Tokenizer", "PixtralProcessor"), "utf-8")
    monkeypatch.setattr(flux2, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"diffusion\.model: .* needs torchvision.*pip install torchvision"):
        opened(tmp_path)
    monkeypatch.setattr(flux2, "find_spec", lambda name: name)
    assert opened(tmp_path).identity.guidance_scale == 4.0


@pytest.mark.parametrize(
    ("pipeline", "argument"),
    [
        ("QwenImagePipeline", "true_cfg_scale"),
        ("Flux2Pipeline", "guidance_scale"),
        ("Flux2KleinPipeline", "guidance_scale"),
    ],
)
def test_the_usual_guidance_is_that_of_the_pipelines(pipeline: str, argument: str) -> None:
    own = inspect.signature(getattr(diffusers, pipeline).__call__).parameters[argument]
    assert FAMILIES[pipeline].guidance_scale == own.default
