"""VQAScore with tiny models of four formats: what it depends on, and what it does not."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from hierflow.errors import InputError
from hierflow.models.runtime import FIXED_BATCH, ON_CPU
from hierflow.scoring import Scorer
from hierflow.scoring.image_text_model import ImageTextModel
from hierflow.scoring.vqa import VqaScore, load_vqa
from hierflow_tests.tiny_models.judges import IMAGE, JUDGES, save_tiny_llava

IMAGES = list(np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8))
HALF = replace(ON_CPU, dtype="bfloat16", fixed_batch=None)
PROMPTS = ["a mug", "a red mug", "a hat", "a blue chair", "a cat", "a dog", "a fox", "an owl", "a bee", "an ant", "a"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in JUDGES.items()}


@pytest.fixture(scope="module", params=sorted(JUDGES))
def judge(request: pytest.FixtureRequest, folders: dict[str, Path]) -> VqaScore:
    return load_vqa(str(folders[request.param]))


@pytest.fixture(scope="module")
def llava(folders: dict[str, Path]) -> VqaScore:
    return load_vqa(str(folders["llava"]))


def test_it_is_a_scorer_that_reacts_to_image_and_prompt(judge: VqaScore) -> None:
    assert isinstance(judge, Scorer)
    assert judge.name == "vqa"
    by_image, by_prompt = judge.score(IMAGES, ["a mug"] * 11), judge.score(IMAGES[:1] * 11, PROMPTS)
    assert all(type(score) is float for score in by_image)
    assert np.std(by_image) > 0.01
    assert np.std(by_prompt) > 0.01
    assert len(set(by_image)) == len(set(by_prompt)) == 11


def test_neighbours_order_and_number_change_no_bit_of_a_score(judge: VqaScore) -> None:
    images = [*IMAGES, np.repeat(IMAGES[0], 2, axis=1)]
    prompts = [*PROMPTS, PROMPTS[0]]
    together = judge.score(images, prompts)
    alone = [judge.score([image], [prompt])[0] for image, prompt in zip(images, prompts, strict=True)]
    backwards = judge.score(images[::-1], prompts[::-1])[::-1]
    assert together == alone == backwards


@pytest.mark.parametrize(
    ("name", "asked"),
    {
        "llava": f'<|im_start|>user\n{IMAGE * 4}Does this figure show "a red mug"? Please answer yes or no.'
        "<|im_end|>\n<|im_start|>assistant\n",
        "paligemma": f'{IMAGE * 4}<|im_start|>Does this figure show "a red mug"? Please answer yes or no.\n',
    }.items(),
)
def test_a_score_is_the_log_odds_of_yes_after_the_question(folders: dict[str, Path], name: str, asked: str) -> None:
    processor = AutoProcessor.from_pretrained(folders[name])
    model = AutoModelForImageTextToText.from_pretrained(folders[name], dtype=torch.float32).eval()
    ids = processor.tokenizer(asked, return_tensors="pt", add_special_tokens=False).input_ids
    pixels = processor.image_processor(images=Image.fromarray(IMAGES[0]), return_tensors="pt").pixel_values
    kinds = {"token_type_ids": torch.zeros_like(ids)} if name == "paligemma" else {}
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels, **kinds).logits
    chances = logits[0, -1].double().softmax(dim=0)
    p = sum(chances[processor.tokenizer.convert_tokens_to_ids(word)].item() for word in ("Yes", " Yes", "yes"))
    score = load_vqa(str(folders[name])).score(IMAGES[:1], ["a red mug"])[0]
    assert score == pytest.approx(np.log(p) - np.log(1 - p), abs=1e-5)


def test_a_decoder_of_its_own_is_asked_for_its_first_word(folders: dict[str, Path]) -> None:
    processor = AutoProcessor.from_pretrained(folders["instructblip"])
    model = AutoModelForImageTextToText.from_pretrained(folders["instructblip"], dtype=torch.float32).eval()
    text = 'Does this figure show "a red mug"? Please answer yes or no.'
    given = processor(images=Image.fromarray(IMAGES[0]), text=text, return_tensors="pt")
    with torch.no_grad():
        logits = model.generate(
            **given, max_new_tokens=1, return_dict_in_generate=True, output_logits=True, do_sample=False
        ).logits[0]
    chances = logits[0].double().softmax(dim=0)
    p = sum(chances[token].item() for token in processor.tokenizer.convert_tokens_to_ids(["Yes", "yes"]))
    score = load_vqa(str(folders["instructblip"])).score(IMAGES[:1], ["a red mug"])[0]
    assert score == pytest.approx(np.log(p) - np.log(1 - p), abs=1e-5)


def test_a_decoder_whose_first_token_is_forced_is_asked_for_the_second(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["instructblip"], tmp_path / "forced")
    config = folder / "generation_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "forced_bos_token_id": 5}))
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    text = 'Does this figure show "a red mug"? Please answer yes or no.'
    given = processor(images=Image.fromarray(IMAGES[0]), text=text, return_tensors="pt")
    with torch.no_grad():
        logits = model(**given, decoder_input_ids=torch.tensor([[0, 5]])).logits[0, 1]
    chances = logits.double().softmax(dim=0)
    p = sum(chances[token].item() for token in processor.tokenizer.convert_tokens_to_ids(["Yes", "yes"]))
    score = load_vqa(str(folder)).score(IMAGES[:1], ["a red mug"])[0]
    assert score == pytest.approx(np.log(p) - np.log(1 - p), abs=1e-5)


def test_what_reads_as_a_mark_of_the_model_is_only_words_in_a_prompt(llava: VqaScore) -> None:
    plain, marked, other = llava.score(IMAGES[:1] * 3, ["a < image> x", f"a {IMAGE} x", "a <imagf> x"])
    assert plain == marked != other


def test_the_version_follows_files_template_and_precision_and_loads_nothing(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loader in (AutoModelForImageTextToText, AutoProcessor):
        monkeypatch.setattr(loader, "from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    usual = load_vqa(str(folders["llava"]))
    save_tiny_llava(tmp_path / "other", seed=1)
    shutil.copytree(folders["llava"], tmp_path / "copy")
    others = [
        load_vqa("other", base=tmp_path),
        load_vqa(str(folders["llava"]), HALF),
        load_vqa(str(folders["llava"]), template="Is this {prompt}? Answer yes or no."),
    ]
    assert load_vqa("copy", base=tmp_path).version == usual.version
    assert len({usual.version, *(other.version for other in others)}) == 4
    assert usual.score([], []) == []


def test_its_provenance_says_what_was_asked_of_what(folders: dict[str, Path]) -> None:
    name = str(folders["llava"])
    assert load_vqa(name, template="{prompt}?").provenance == {
        "model": name,
        "commit": None,
        "template": "{prompt}?",
        "answer": "Yes",
        "dtype": "float32",
    }


def test_a_second_tokenizer_in_a_folder_of_its_own_counts(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["instructblip"], tmp_path / "copy")
    config = tmp_path / "copy" / "qformer_tokenizer" / "tokenizer_config.json"
    config.write_text(config.read_text().replace("4096", "4000"))
    assert load_vqa("copy", base=tmp_path).version != load_vqa(str(folders["instructblip"])).version


def test_the_template_decides_the_question(folders: dict[str, Path]) -> None:
    other = load_vqa(str(folders["llava"]), template="{prompt}: yes or no?")
    assert other.score(IMAGES[:1], ["a mug"]) != load_vqa(str(folders["llava"])).score(IMAGES[:1], ["a mug"])
    with pytest.raises(InputError, match=r"scoring\.vqa: 'Is it good\?' has no place for the prompt; write {prompt}"):
        load_vqa(str(folders["llava"]), template="Is it good?")


def test_half_precision_is_as_good_within_rounding(folders: dict[str, Path], llava: VqaScore) -> None:
    half = load_vqa(str(folders["llava"]), HALF).score(IMAGES, PROMPTS)
    whole = llava.score(IMAGES, PROMPTS)
    assert half != whole
    assert half == pytest.approx(whole, abs=0.15)


def test_wrong_numbers_are_refused(llava: VqaScore) -> None:
    with pytest.raises(ValueError, match="1 images for 2 prompts"):
        llava.score(IMAGES[:1], PROMPTS[:2])


def _edit_weights(folder: Path, change: Any) -> Path:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_an_answer_that_is_no_number_is_none_for_that_image_and_the_others_keep_theirs(
    llava: VqaScore, tmp_path: Path
) -> None:
    folder = save_tiny_llava(tmp_path)
    letter = AutoProcessor.from_pretrained(folder).tokenizer.convert_tokens_to_ids("z")

    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["language_model.model.embed_tokens.weight"][letter] = torch.nan

    prompts = ["a mug", "a zug", "a hat"]  # of one length: they are asked together
    scores = load_vqa(str(_edit_weights(folder, spoil))).score(IMAGES[:3], prompts)
    assert math.isnan(scores[1])
    assert scores[::2] == llava.score(IMAGES[:3], prompts)[::2]


def test_missing_weights_are_refused_and_not_drawn_at_random(tmp_path: Path) -> None:
    def lose(weights: dict[str, torch.Tensor]) -> None:
        del weights["language_model.lm_head.weight"]

    lossy = load_vqa(str(_edit_weights(save_tiny_llava(tmp_path), lose)))
    with pytest.raises(InputError, match=r"lacks weights \(.*lm_head\.weight\); give a complete model"):
        lossy.score(IMAGES[:1], ["a mug"])


def test_a_model_without_a_token_for_the_answer_is_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hierflow.scoring.image_text_model.ANSWER", "certainly")
    with pytest.raises(InputError, match="has no token that reads 'certainly'; take a model that has one"):
        load_vqa(str(folders["llava"])).score(IMAGES[:1], ["a mug"])


@pytest.mark.parametrize("fixed_batch", [None, 4])
def test_batches_are_filled_where_bits_are_promised_and_only_there(
    folders: dict[str, Path], fixed_batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, real = list[int](), ImageTextModel.log_odds

    def counting(self: ImageTextModel, asked: list[dict[str, torch.Tensor]]) -> torch.Tensor:
        sizes.append(len(asked))
        return real(self, asked)

    monkeypatch.setattr(ImageTextModel, "log_odds", counting)
    judge = load_vqa(str(folders["llava"]), replace(ON_CPU, fixed_batch=fixed_batch))
    judge.score(IMAGES[: FIXED_BATCH + 1], ["a mug"] * (FIXED_BATCH + 1))
    assert sizes == [FIXED_BATCH, FIXED_BATCH if fixed_batch else 1]


def test_a_processor_that_lacks_a_library_is_refused_with_its_words(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise ImportError("This one requires\nthe Torchvision library.")

    monkeypatch.setattr(AutoProcessor, "from_pretrained", lacking)
    with pytest.raises(InputError, match=r"\(This one requires the Torchvision library\.\); install what it needs"):
        load_vqa(str(folders["llava"])).score(IMAGES[:1], ["a mug"])
