"""A sentence-transformers model embeds texts as the library does, or is refused by the name of what it is made of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertModel, BertTokenizer

from hierflow.errors import InputError
from hierflow.models.runtime import FIXED_BATCH, resolve_runtime
from hierflow.models.sentence_encoder import SentenceEncoder
from hierflow.models.sentence_model import SentenceModel, locate_sentence_model
from hierflow.spec import DiffusionSpec, EmbeddingSpec
from hierflow_tests.tiny_models.sentence import LONGEST, WIDTH, save_tiny_sentence

TEXTS = ["a red mug", "A Blue mug", "two green cats", "xyz 99", "a red mug on a long table", "a", "a red cat"]


def found(name: str | Path, base: Path = Path("/"), **more: Any) -> SentenceModel:
    return locate_sentence_model(EmbeddingSpec.model_validate({"from": str(name), **more}), base)


def encoder(folder: Path) -> SentenceEncoder:
    return SentenceEncoder(found(folder), resolve_runtime(DiffusionSpec(device="cpu")))


def by_hand(folder: Path, text: str) -> np.ndarray:
    """(L, D) hidden states of one text alone."""
    tokens = BertTokenizer.from_pretrained(folder)(text, truncation=True, max_length=LONGEST, return_tensors="pt")
    with torch.no_grad():
        return BertModel.from_pretrained(folder)(**tokens).last_hidden_state[0].numpy()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sentence(tmp_path_factory.mktemp("sentence"))


def test_a_vector_is_the_mean_of_its_tokens_at_length_1(plain: Path) -> None:
    vectors = encoder(plain).vectors(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), WIDTH), np.float64)
    for text, vector in zip(TEXTS, vectors, strict=True):
        mean = by_hand(plain, text).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    assert (vectors @ vectors.T)[np.triu_indices(len(TEXTS), 1)].max() < 0.999


def test_a_text_has_the_same_bits_whoever_stands_beside_it(plain: Path) -> None:
    whole = encoder(plain).vectors(TEXTS)
    assert np.array_equal(encoder(plain).vectors(TEXTS[::-1])[::-1], whole)
    for text, vector in zip(TEXTS, whole, strict=True):
        assert np.array_equal(encoder(plain).vectors([text])[0], vector)


def test_the_network_sees_batches_of_one_size_without_padding_in_a_text(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    real = BertModel.forward

    def forward(self: BertModel, input_ids: torch.Tensor, attention_mask: torch.Tensor, **more: Any) -> Any:
        seen.append((len(input_ids), bool(attention_mask.all())))
        return real(self, input_ids=input_ids, attention_mask=attention_mask, **more)

    monkeypatch.setattr(BertModel, "forward", forward)
    encoder(plain).vectors([*TEXTS, *(f"a red {letter}at" for letter in "bcfhmprsv")])
    assert set(seen) == {(FIXED_BATCH, True)}


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True}, lambda h: h[0]),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, lambda h: h.max(axis=0)),
        ({"pooling_mode_lasttoken": True}, lambda h: h[-1]),
        ({"pooling_mode": "mean"}, lambda h: h.mean(axis=0)),
        ({"pooling_mode": ["mean", "cls"]}, lambda h: np.concatenate([h.mean(axis=0), h[0]])),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "pooling_mode_cls_token": True},
            lambda h: np.concatenate([h[0], h.max(axis=0), h.mean(axis=0)]),  # the library's own order
        ),
    ],
)
def test_tokens_are_pooled_as_its_files_say(tmp_path: Path, pooling: dict[str, Any], expected: Any) -> None:
    save_tiny_sentence(tmp_path, modules=("Transformer", "Pooling"), pooling=pooling)
    for text, vector in zip(TEXTS, encoder(tmp_path).vectors(TEXTS), strict=True):
        np.testing.assert_allclose(vector, expected(by_hand(tmp_path, text)), atol=1e-5)


def test_lower_case_prefix_and_length_are_as_its_files_say(tmp_path: Path, plain: Path) -> None:
    lower = save_tiny_sentence(tmp_path / "lower", settings={"do_lower_case": True})
    shown = encoder(plain).vectors(["a blue mug", "A Blue mug"])
    assert not np.array_equal(shown[0], shown[1])
    assert np.array_equal(encoder(lower).vectors(["A Blue mug"])[0], shown[0])
    prompts = {"prompts": {"query": "find "}, "default_prompt_name": "query"}
    told = save_tiny_sentence(tmp_path / "told", prompts=prompts)
    assert np.array_equal(encoder(told).vectors(["a mug"]), encoder(plain).vectors(["find a mug"]))
    long = ["a" * (LONGEST - 2), "a" * (LONGEST - 2) + "b"]
    assert np.array_equal(*encoder(plain).vectors(long))
    endless = save_tiny_sentence(tmp_path / "endless", settings={"max_seq_length": None})
    assert not np.array_equal(*encoder(endless).vectors(long))
    assert np.array_equal(*encoder(endless).vectors([text + "c" * LONGEST for text in ["a" * 60, "a" * 61]]))


def test_its_fingerprint_is_what_its_files_hold(tmp_path: Path, plain: Path) -> None:
    copy = Path(shutil.copytree(plain, tmp_path / "copy"))
    assert found(copy).fingerprint == found(plain).fingerprint
    assert found("copy", tmp_path).fingerprint == found(plain).fingerprint
    other = save_tiny_sentence(tmp_path / "other", seed=1)
    cls = save_tiny_sentence(tmp_path / "cls", pooling={"pooling_mode_cls_token": True})
    assert len({found(folder).fingerprint for folder in (plain, other, cls)}) == 3


def test_a_hub_model_is_its_commit(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert not any("bin" in pattern or "py" in pattern for pattern in allow_patterns)
        return str(shutil.copytree(plain, tmp_path / (revision or "main"), dirs_exist_ok=True))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    first, again, other = (found("studio/small", revision=revision) for revision in (None, None, "v2"))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert asked == [("studio/small", None), ("studio/small", None), ("studio/small", "v2")]


@pytest.mark.parametrize(
    ("modules", "problem"),
    [
        (("Transformer", "Pooling", "Dense"), "is made of Transformer, Pooling, Dense; take a model of Transformer"),
        (("CLIPModel",), "is made of CLIPModel"),
        (("Transformer",), "is made of Transformer;"),
        (("Transformer", "custom_module.Pooling"), r"wants code of its own \(custom_module\.Pooling\), which is"),
    ],
)
def test_other_modules_are_refused_by_name(tmp_path: Path, modules: tuple[str, ...], problem: str) -> None:
    save_tiny_sentence(tmp_path, modules=modules)
    with pytest.raises(InputError, match=rf"embedding\.from: .*{problem}"):
        found(tmp_path)


def test_what_else_is_not_supported_is_refused_by_name(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "find "}, "default_prompt_name": "query"}
    kinds: dict[str, dict[str, Any]] = {
        "pools its tokens by weightedmean_tokens, which": {"pooling": {"pooling_mode_weightedmean_tokens": True}},
        "pools its tokens by what": {"pooling": {"pooling_mode": "what"}},
        "leaves its own prompt out": {"prompts": prompts, "pooling": {"include_prompt": False}},
        "is a transformer for fill-mask": {"settings": {"transformer_task": "fill-mask"}},
    }
    for place, (problem, kind) in enumerate(kinds.items()):
        save_tiny_sentence(tmp_path / str(place), **kind)
        with pytest.raises(InputError, match=rf"embedding\.from: .*{problem}.*; take"):
            found(tmp_path / str(place))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_type": "house_made"}, "is a house_made, which transformers has no code of its own for"),
        ({"is_encoder_decoder": True}, "is a bert, an encoder with a decoder"),
    ],
)
def test_a_transformer_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    config = save_tiny_sentence(tmp_path) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text("utf-8")), **changes}), "utf-8")
    with pytest.raises(InputError, match=problem):
        found(tmp_path)


def test_pickled_weights_and_torn_files_are_refused(tmp_path: Path, plain: Path) -> None:
    model = Path(shutil.copytree(plain, tmp_path / "model"))
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(InputError, match="holds no safetensors weights"):
        found(model)
    for file, content in {"modules.json": "{", "1_Pooling/config.json": "", "config.json": ""}.items():
        torn = Path(shutil.copytree(plain, tmp_path / "torn"))
        (torn / file).write_text(content)
        with pytest.raises(InputError, match=f"{file}: embedding\\.from: cannot be read"):
            found(torn)
        shutil.rmtree(torn)
    torn = Path(shutil.copytree(plain, tmp_path / "torn"))
    (torn / "modules.json").write_text('{"a": 1}')
    with pytest.raises(InputError, match=r"modules\.json: embedding\.from: is no list of modules"):
        found(torn)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'nowhere' is neither `conditioning` nor `text_encoder` nor a folder"):
        found("nowhere", tmp_path)
    with pytest.raises(InputError, match=r"embedding\.from: 'nobody/nothing' is not a folder .* from the hub"):
        found("nobody/nothing", tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is no sentence-transformers model"):
        found("folder", tmp_path)
    with pytest.raises(
        InputError, match=r"embedding\.revision: 'v1' is a revision, which only a model of the hub has"
    ):
        locate_sentence_model(EmbeddingSpec.model_validate({"from": "folder", "revision": "v1"}), tmp_path)
