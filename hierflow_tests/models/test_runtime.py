"""Where and how precisely a model runs."""

from __future__ import annotations

import pytest
import torch

from hierflow.errors import InputError
from hierflow.models.runtime import FIXED_BATCH, Runtime, machine, resolve_runtime
from hierflow.spec import DiffusionSpec

CUDA = torch.cuda.is_available()


def test_the_cpu_computes_in_float32_and_promises_bits() -> None:
    assert resolve_runtime(DiffusionSpec(device="cpu")) == Runtime("cpu", "float32", FIXED_BATCH)


@pytest.mark.skipif(CUDA, reason="this machine has a GPU")
def test_auto_is_the_cpu_where_there_is_nothing_else() -> None:
    assert resolve_runtime(DiffusionSpec()).device == "cpu"


def test_a_gpu_computes_in_the_half_precision_that_the_model_was_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: 0.0)  # as though the device were there
    assert resolve_runtime(DiffusionSpec(device="cuda")) == Runtime("cuda", "float16", None)
    assert resolve_runtime(DiffusionSpec(device="cuda"), "bfloat16").dtype == "bfloat16"
    assert resolve_runtime(DiffusionSpec(device="cuda", dtype="float16"), "bfloat16").dtype == "float16"
    assert resolve_runtime(DiffusionSpec(device="cpu"), "bfloat16").dtype == "float32"


def test_a_promise_can_be_asked_for_and_waived() -> None:
    assert resolve_runtime(DiffusionSpec(device="cpu", deterministic=False)).fixed_batch is None
    assert resolve_runtime(DiffusionSpec(device="cpu", dtype="bfloat16")).fixed_batch is None
    assert resolve_runtime(DiffusionSpec(device="cpu", dtype="bfloat16", deterministic=True)).fixed_batch == 8


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", *([] if CUDA else ["cuda"])])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match=r"is not a device of this machine; take `cpu` or `auto`") as caught:
        resolve_runtime(DiffusionSpec(device=device))
    assert (caught.value.field, caught.value.value) == ("diffusion.device", device)


def test_the_ledger_learns_of_the_machine() -> None:
    facts = machine("cpu")
    assert facts["torch"] == torch.__version__
    assert facts.keys() >= {"cpu", "gpu", "threads", "python", "diffusers", "transformers"}
    assert facts["gpu"] is None


def test_the_ledger_learns_of_the_device_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"card {torch.device(device or 0).index}")
    assert machine("cuda:1")["gpu"] == "card 1"
    assert machine("cpu")["gpu"] is None
