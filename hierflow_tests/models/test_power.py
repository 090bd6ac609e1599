"""What a run takes of its accelerator, with NVML and torch's view of the cards made up."""

from __future__ import annotations

import sys
import time
from types import ModuleType, SimpleNamespace

import pytest
import torch

from hierflow.models.power import Hold, is_accelerator

UUIDS = {0: "aaaa", 1: "bbbb"}


class FakeNvml(ModuleType):
    """NVML as it sees two cards, in the reverse of torch's order."""

    class NVMLError(Exception):
        """What every call raises."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.millijoules: dict[str, int | None] = {"GPU-bbbb": 7_000_000, "GPU-aaaa": 1_000_000}
        self.divided: bool | None = False
        self.reads = 0

    def nvmlInit(self) -> None:  # noqa: N802
        """Works."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        """The UUID itself."""
        if uuid not in self.millijoules:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:  # noqa: N802
        """Current and pending."""
        if self.divided is None:
            raise self.NVMLError("Not Supported")
        return [int(self.divided), 0]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        """Millijoules, if the card counts them."""
        self.reads += 1
        if (count := self.millijoules[handle]) is None:
            raise self.NVMLError("Not Supported")
        return count


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(name="Card", uuid=UUIDS[torch.device(device).index or 0]),
    )
    return fake


def test_a_cpu_is_held_for_no_seconds_and_nobody_asks_for_its_energy(nvml: FakeNvml) -> None:
    hold = Hold("cpu")
    time.sleep(0.002)
    assert hold.taken() == {"gpu_seconds": 0.0, "kwh": None, "energy_note": ""}
    assert nvml.reads == 0


def test_pynvml_is_not_imported_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Hold("cpu").taken()["energy_note"] == ""


def test_seconds_and_energy_count_from_the_beginning_of_the_hold(nvml: FakeNvml) -> None:
    hold = Hold("cuda:0")
    time.sleep(0.002)
    nvml.millijoules["GPU-aaaa"] = 1_000_000 + 3_600_000  # a Wh
    taken = hold.taken()
    assert taken["gpu_seconds"] > 0
    assert taken["kwh"] == pytest.approx(0.001)
    assert taken["energy_note"] == ""
    nvml.millijoules["GPU-aaaa"] = 1_000_000 + 2 * 3_600_000
    assert hold.taken()["kwh"] == pytest.approx(0.002)


def test_the_card_is_found_by_its_uuid_and_not_by_its_number(nvml: FakeNvml) -> None:
    second = Hold("cuda:1")
    nvml.millijoules["GPU-bbbb"] = 7_000_000 + 3_600_000
    assert second.taken()["kwh"] == pytest.approx(0.001)
    assert Hold("cuda").taken()["kwh"] == 0.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"millijoules": {"GPU-aaaa": None}}, "not reported by Card (Not Supported)"),
        ({"millijoules": {}}, "not reported by Card (Not Found)"),
        ({"divided": True}, "not reported by Card, which is divided into MIG slices"),
    ],
)
def test_a_card_without_a_figure_says_why_and_its_seconds_count(
    nvml: FakeNvml, change: dict[str, object], why: str
) -> None:
    nvml.__dict__.update(change)
    hold = Hold("cuda:0")
    time.sleep(0.002)
    taken = hold.taken()
    assert taken["gpu_seconds"] > 0
    assert (taken["kwh"], taken["energy_note"]) == (None, why)


def test_a_card_that_cannot_be_divided_counts(nvml: FakeNvml) -> None:
    nvml.divided = None
    assert Hold("cuda:0").taken()["kwh"] == 0.0


def test_a_counter_that_fails_midway_leaves_no_half_a_figure(nvml: FakeNvml) -> None:
    hold = Hold("cuda:0")
    assert hold.taken()["kwh"] == 0.0
    nvml.millijoules["GPU-aaaa"] = None
    assert hold.taken()["kwh"] is None
    nvml.millijoules["GPU-aaaa"] = 5_000_000
    assert hold.taken()["kwh"] is None
    assert hold.taken()["energy_note"] == "not reported by Card (Not Supported)"


def test_without_nvidia_ml_py_the_note_says_what_to_install(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    note = Hold("cuda:0").taken()["energy_note"]
    assert "nvidia-ml-py is not installed" in note
    assert "hierflow[gpu]" in note


def test_other_accelerators_hold_seconds_but_report_no_energy() -> None:
    hold = Hold("mps")
    time.sleep(0.002)
    assert hold.taken()["gpu_seconds"] > 0
    assert hold.taken()["energy_note"] == "not reported by mps"


def test_everything_but_the_cpu_is_an_accelerator() -> None:
    assert [is_accelerator(device) for device in ("cpu", "cpu:0", "cuda", "cuda:1", "mps")] == [False] * 2 + [
        True
    ] * 3
