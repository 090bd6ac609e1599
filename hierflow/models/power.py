"""What a run takes of its accelerator: the seconds it holds it, and the energy the card counts meanwhile."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

_MILLIJOULES = 3.6e9
"""In a kWh."""


class Hold:
    """A run's hold on its device, from this moment on.

    A CPU is no accelerator: it takes 0 seconds and nothing is measured. The energy is what the whole card has
    used, whoever else was at work on it; a card divided into MIG slices gives no figure.

    Args:
        device: as torch names it, such as "cpu" or "cuda:1".
    """

    def __init__(self, device: str) -> None:
        self._held = is_accelerator(device)
        self._silent = ""
        self._counter: Callable[[], int] | None = None
        if self._held:
            self._find_counter(device)
        self.restart()

    def restart(self) -> None:
        """Forget what has been taken: another hold on the device has booked it."""
        self._began = time.perf_counter()
        self._at_first = self._read() or 0

    def taken(self) -> dict[str, Any]:
        """Fields of a ledger entry: gpu_seconds, kwh (None without a figure) and energy_note (why)."""
        seconds = round(time.perf_counter() - self._began, 3) if self._held else 0.0
        used = self._read()
        return {
            "gpu_seconds": seconds,
            "kwh": None if used is None else (used - self._at_first) / _MILLIJOULES,
            "energy_note": self._silent,
        }

    def _find_counter(self, device: str) -> None:
        try:
            self._counter = energy_counter(device)
        except NoEnergyError as error:
            self._silent = str(error)

    def _read(self) -> int | None:
        try:
            return self._counter() if self._counter else None
        except NoEnergyError as error:
            self._counter, self._silent = None, str(error)
            return None


class NoEnergyError(Exception):
    """A card's energy is not known; the message says why."""


def is_accelerator(device: str) -> bool:
    """Whether `device` is more than the CPU."""
    return device.partition(":")[0] != "cpu"


def energy_counter(device: str) -> Callable[[], int]:
    """Reads the millijoules that the card of a torch device has used since its driver was loaded.

    The card is found by its UUID: NVML counts all cards, torch those that $CUDA_VISIBLE_DEVICES leaves.

    Raises:
        NoEnergyError: there is no such figure. What is returned raises it too.
    """
    import torch

    if torch.device(device).type != "cuda":
        raise NoEnergyError(f"not reported by {device}")
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        raise NoEnergyError("not read, as nvidia-ml-py is not installed (pip install 'hierflow[gpu]')") from error
    card = torch.cuda.get_device_properties(device)

    def read() -> int:
        try:
            return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        except nvml.NVMLError as error:
            raise NoEnergyError(f"not reported by {card.name} ({error})") from error

    try:
        nvml.nvmlInit()  # counted, and given back when the process ends
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{card.uuid}")
    except nvml.NVMLError as error:
        raise NoEnergyError(f"not reported by {card.name} ({error})") from error
    if _is_divided(nvml, handle):
        raise NoEnergyError(f"not reported by {card.name}, which is divided into MIG slices")
    read()
    return read


def _is_divided(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # a card that cannot be divided
        return False
    return bool(current)
