"""The training loop: its schedule, and that an interrupted run ends where an uninterrupted one does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from hierflow.mini.training.curves import Curve, draw_curves, read_curve
from hierflow.mini.training.loop import Schedule, Settings, Trainer
from hierflow.mini.training.workers import Workers

ALONE = Workers(rank=0, size=1)


def train(folder: Path, steps: int, stop_after: int | None = None, curve: Path | None = None) -> nn.Module:
    """Train a tiny model to the end, or until it is interrupted after some steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    settings = Settings(Schedule(steps, peak=1e-2, warmup=2, hold=0.5), folder, curve=curve, checkpoint_every=3)
    calls = 0

    def loss(rng: np.random.Generator) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if stop_after is not None and calls > stop_after:
            raise KeyboardInterrupt
        inputs = torch.from_numpy(rng.standard_normal((16, 4), dtype=np.float32)) + 0.1 * torch.randn(16, 4)
        return ((model(inputs) - inputs.sum(dim=1, keepdim=True)) ** 2).mean()

    Trainer(model, settings, ALONE).run(loss)
    return model


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", steps=10)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "halves", steps=10, stop_after=7)
    resumed = train(tmp_path / "halves", steps=10)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_one_checkpoint_is_kept_and_it_is_no_pickle(tmp_path: Path) -> None:
    train(tmp_path, steps=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["progress.json", "step_10.safetensors"]


def test_the_rate_rises_holds_and_falls() -> None:
    schedule = Schedule(steps=1000, peak=1.0, warmup=100, hold=0.5, floor=0.1)
    assert schedule.rate(0) == pytest.approx(0.01)
    assert schedule.rate(100) == schedule.rate(500) == pytest.approx(1.0)
    assert schedule.rate(750) == pytest.approx(0.55)
    assert schedule.rate(1000) == pytest.approx(0.1)


def test_the_curve_of_a_run_ends_with_its_last_step(tmp_path: Path) -> None:
    train(tmp_path / "checkpoints", steps=10, curve=tmp_path / "curve.csv")
    ((step, loss, rate, _),) = read_curve(tmp_path / "curve.csv")
    assert (step, rate) == (10, pytest.approx(Schedule(10, peak=1e-2, warmup=2, hold=0.5).rate(9), abs=1e-8))
    assert 0 < loss < 100


def test_steps_that_are_trained_again_are_not_booked_twice(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    curve = Curve(path, step=0, steps=300)
    for step in (50, 100, 150):
        curve.add(step, loss=1 / step, rate=0.1)
    again = Curve(path, step=100, steps=300)
    again.add(150, loss=0.5, rate=0.1)
    assert [(row[0], row[1]) for row in read_curve(path)] == [(50, 0.02), (100, 0.01), (150, 0.5)]


def test_a_row_that_a_crash_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "part.csv"
    Curve(path, step=0, steps=300).add(50, loss=0.25, rate=0.1)
    path.write_text(path.read_text() + "100,0.2")
    assert [row[0] for row in read_curve(path)] == [50]


def test_curves_are_drawn_once_there_are_any(tmp_path: Path) -> None:
    draw_curves([tmp_path / "none.csv"], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
    Curve(tmp_path / "part.csv", step=0, steps=300).add(50, loss=0.25, rate=0.1)
    draw_curves([tmp_path / "none.csv", tmp_path / "part.csv"], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 300


def test_processes_share_a_batch() -> None:
    assert [Workers(rank=0, size=size).share(5) for size in (1, 2, 5)] == [5, 3, 1]
