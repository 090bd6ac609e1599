"""A network is on the device while its part of the model works, and no other part's is: the peak is one part's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from hierflow.models.loaded import LoadedModel
from hierflow.models.pipeline_adapter import PipelineAdapter
from hierflow.models.placement import Placement
from hierflow_tests.models.families.made import PROMPTS, Made
from hierflow_tests.stages.runs import carried_out, spec_of, stage_of
from hierflow_tests.tiny_models import save_tiny_kandinsky

ELSEWHERE = "cuda:0"
"""Where networks are said to be moved; in truth they stay where they are."""


class Device:
    """A device that only takes notes: what is on it whenever a network is called.

    Attributes:
        seen: the part that is called, and the parts on the device, in the order of the calls; without repetition.
        sizes: the bytes of each part.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        family = loaded.source.family
        groups = {"encoders": family.encoders, "denoiser": family.denoiser, "decoders": family.decoders}
        self._part_of: dict[int, str] = {}
        self._kinds: set[type[torch.nn.Module]] = set()
        self.sizes: dict[str, int] = {}
        for group, names in groups.items():
            networks = loaded.networks(loaded.encoder if group == "encoders" else loaded.denoiser, names)
            self._part_of |= {id(module): group for network in networks for module in network.modules()}
            self.sizes[group] = sum(_size(network) for network in networks)
            self._kinds |= {type(network) for network in networks}
        self._resident: list[torch.nn.Module] = []
        self.seen: list[tuple[str, frozenset[str], int]] = []

    @contextmanager
    def watched(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        def moved(module: torch.nn.Module, device: str) -> torch.nn.Module:
            self._resident = [other for other in self._resident if other is not module]
            self._resident += [module] if device == ELSEWHERE else []
            return module

        hook = register_module_forward_pre_hook(self._called)
        with monkeypatch.context() as patched:
            for kind in self._kinds:
                patched.setattr(kind, "to", moved)
            try:
                yield
            finally:
                hook.remove()

    def _called(self, module: torch.nn.Module, given: Any) -> None:
        group = self._part_of.get(id(module))
        if group is None:
            return
        resident = frozenset(self._part_of[id(network)] for network in self._resident)
        told = group, resident, sum(map(_size, self._resident))
        if told not in self.seen:
            self.seen.append(told)


def _size(network: torch.nn.Module) -> int:
    return sum(weight.nbytes for weight in [*network.parameters(), *network.buffers()])


def watched(spec: Any, monkeypatch: pytest.MonkeyPatch, *, keeps: bool = False) -> Device:
    """A run of `spec` on a device that takes notes."""
    stage = stage_of(spec)
    adapter = stage.adapter
    assert isinstance(adapter, PipelineAdapter)
    adapter.loaded.placement = Placement(ELSEWHERE, keeps=keeps)
    device = Device(adapter.loaded)
    with device.watched(monkeypatch):
        carried_out(stage)
    return device


def assert_one_part_at_a_time(device: Device) -> None:
    parts = {group for group, _, _ in device.seen}
    assert parts == {"encoders", "denoiser", "decoders"}
    for group, resident, size in device.seen:
        assert resident == {group}
        assert size <= device.sizes[group]
    peak = {group: max(size for other, _, size in device.seen if other == group) for group in parts}
    assert peak["denoiser"] == device.sizes["denoiser"]
    assert max(peak.values()) < sum(device.sizes.values())


def test_the_peak_is_that_of_the_part_at_work(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_one_part_at_a_time(watched(made.spec(prompts=PROMPTS[:2]), monkeypatch))


def test_the_same_of_kandinsky_whose_encoders_score_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny_kandinsky(tmp_path, learned_variance=True)
    assert_one_part_at_a_time(watched(spec_of(folder, prompts=PROMPTS[:2]), monkeypatch))


def test_without_offload_everything_that_has_worked_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny_kandinsky(tmp_path, learned_variance=True)
    device = watched(spec_of(folder, prompts=PROMPTS[:2]), monkeypatch, keeps=True)
    assert device.seen[-1][1] == {"encoders", "denoiser", "decoders"}
    with pytest.raises(AssertionError):
        assert_one_part_at_a_time(device)
