"""The network is called in batches that fit, and counted whatever happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hierflow.denoise.batched_prediction import BatchedPrediction
from hierflow.models.adapter import Adapter
from hierflow.models.batches import Batches
from hierflow.models.families.kandinsky22 import Kandinsky22
from hierflow.models.runtime import resolve_runtime
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec
from hierflow_tests.stages.runs import carried_out, spec_of, stage_of
from hierflow_tests.tiny_models import DIM

ROWS = 11


def adapter_of(folder: Path, **settings: Any) -> Adapter:
    spec = DiffusionSpec(model=str(folder), steps=4, **settings)
    return Kandinsky22(locate(spec, folder), spec, resolve_runtime(spec))


def inputs(rows: int = ROWS) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    noise = torch.Generator().manual_seed(0)
    names = ("image_embeds", "negative_image_embeds")
    latents = torch.randn(rows, 4, 8, 8, generator=noise)
    return latents, [{name: torch.randn(DIM, generator=noise) for name in names} for _ in range(rows)]


def prediction_of(adapter: Adapter) -> BatchedPrediction:
    return BatchedPrediction(Batches(adapter.runtime), adapter.rows_per_evaluation)


def predicted(prediction: BatchedPrediction, adapter: Adapter, rows: int = ROWS) -> torch.Tensor:
    latents, conditioning = inputs(rows)
    hook = prediction.meter.attach(adapter.network)
    try:
        return prediction.predict(adapter, latents, 1, conditioning)
    finally:
        hook.remove()


def out_of_memory_above(rows: int, network: torch.nn.Module) -> None:
    """Let `network` fail, once it has begun, on more than `rows` rows."""

    def fail(module: Any, args: Any, kwargs: Any, output: Any) -> None:
        if len(kwargs["sample"]) > rows:
            raise torch.OutOfMemoryError("simulated")

    network.register_forward_hook(fail, with_kwargs=True)


def test_promised_batches_are_padded_to_one_size(tiny_learned: Path) -> None:
    adapter = adapter_of(tiny_learned)
    prediction = prediction_of(adapter)
    output = predicted(prediction, adapter)
    assert len(output) == ROWS
    assert (prediction.meter.calls, prediction.meter.rows) == (2, 2 * 16)
    assert prediction.padding_rows == (16 - ROWS) * 2
    assert prediction.evaluations == ROWS


def test_a_row_has_the_same_bits_whatever_stands_beside_it(tiny_learned: Path) -> None:
    adapter = adapter_of(tiny_learned)
    latents, conditioning = inputs()
    whole = prediction_of(adapter).predict(adapter, latents, 1, conditioning)
    for rows in ([3], [10, 3, 0], list(range(10, -1, -1))):
        some = [conditioning[row] for row in rows]
        assert torch.equal(prediction_of(adapter).predict(adapter, latents[rows], 1, some), whole[rows])


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_free_batches_are_not_padded(tiny_learned: Path, guidance: float) -> None:
    adapter = adapter_of(tiny_learned, deterministic=False, guidance_scale=guidance)
    prediction = prediction_of(adapter)
    output = predicted(prediction, adapter)
    assert (prediction.meter.calls, prediction.padding_rows) == (1, 0)
    assert prediction.meter.rows == ROWS * (2 if guidance > 1 else 1)
    assert prediction.evaluations == ROWS
    promised = adapter_of(tiny_learned, guidance_scale=guidance)
    fixed = predicted(prediction_of(promised), promised)
    torch.testing.assert_close(output, fixed, rtol=1e-4, atol=1e-5)


def test_batches_are_halved_until_they_fit(tiny_learned: Path) -> None:
    adapter = adapter_of(tiny_learned, deterministic=False)
    expected = predicted(prediction_of(adapter), adapter)
    prediction = prediction_of(adapter)
    prediction.batches.largest = 16
    out_of_memory_above(2 * 4, adapter.network)
    output = predicted(prediction, adapter)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    assert prediction.batches.largest == 4
    assert prediction.evaluations == ROWS
    assert prediction.meter.calls == 2 + 3  # batches of 11 and 5 failed; 3, 4 and 4 did not
    assert prediction.padding_rows == 2 * (11 + 5)


def test_a_whole_run_survives_a_lack_of_memory_with_balanced_books(tiny_learned: Path) -> None:
    prompts = [f"a {color} {thing}" for color in ("red", "blue", "grey") for thing in ("mug", "hat", "cat")]
    spec = spec_of(tiny_learned, prompts=prompts, deterministic=False, sharing={"tau": 0.3})
    expected = carried_out(stage_of(spec)).latents()
    stage = stage_of(spec_of(tiny_learned, prompts=prompts, deterministic=False, sharing={"tau": 0.3}))
    out_of_memory_above(2 * 3, stage.adapter.network)
    run = carried_out(stage)
    assert run.account.books.problems == ()
    assert run.account.books.executed == run.compiled.plan.evaluations
    assert run.account.padding_rows > 0
    for key, latents in run.latents().items():
        torch.testing.assert_close(latents, expected[key], rtol=1e-4, atol=1e-4)


def test_too_little_memory_for_one_row_or_for_the_promised_batch_is_an_error(tiny_learned: Path) -> None:
    for promised in (True, False):
        adapter = adapter_of(tiny_learned, deterministic=promised)
        out_of_memory_above(1, adapter.network)
        prediction = prediction_of(adapter)
        with pytest.raises(torch.OutOfMemoryError):
            predicted(prediction, adapter)
        assert prediction.evaluations == 0
