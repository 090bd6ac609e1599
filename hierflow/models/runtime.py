"""On what a model runs: device, precision, and whether bits are promised."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hierflow.errors import InputError
from hierflow.models.acceleration import Acceleration
from hierflow.spec import DiffusionSpec

if TYPE_CHECKING:
    import torch

FIXED_BATCH = 8
"""Rows the network always sees where bits are promised. Small frontiers are padded up to it, so a larger batch
wastes more at the top of the tree, and a smaller one runs slower below; `make bench` measures both."""

LARGEST_BATCH = {"cpu": 20, "cuda": 64}
"""The largest batch the network sees where bits are not promised; halved when memory runs out."""


@dataclass(frozen=True)
class Runtime:
    """Resolved from the document and the machine.

    Attributes:
        device: such as "cpu" or "cuda:0".
        dtype: "float32", "float16" or "bfloat16".
        fixed_batch: the batch size of every network call, where equal bits are promised; else None.
        batch_limit: the largest batch the document allows; None where it leaves that to the machine.
        acceleration: how the denoiser is made faster or smaller.
    """

    device: str
    dtype: str
    fixed_batch: int | None
    batch_limit: int | None = None
    acceleration: Acceleration = field(default_factory=Acceleration)

    @property
    def largest_batch(self) -> int:
        """The largest batch the network should see."""
        return self.fixed_batch or self.batch_limit or LARGEST_BATCH["cpu" if self.device == "cpu" else "cuda"]

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch has it."""
        import torch

        dtype: torch.dtype = getattr(torch, self.dtype)
        return dtype


ON_CPU = Runtime("cpu", "float32", fixed_batch=FIXED_BATCH)
"""What every machine has, with equal bits promised."""


def resolve_runtime(spec: DiffusionSpec, half: str = "float16") -> Runtime:
    """Settle `auto` fields for this machine.

    Args:
        spec: the document's `diffusion` section.
        half: the precision that `auto` means on a GPU.

    Raises:
        InputError: the device does not exist here.
    """
    import torch

    device = spec.device if spec.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        float(torch.zeros(1, device=device))  # `meta` is a device, but holds nothing
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            "is not a device of this machine", field="diffusion.device", value=device, remedy="take `cpu` or `auto`"
        ) from error
    on_cpu = torch.device(device).type == "cpu"
    dtype = spec.dtype if spec.dtype != "auto" else ("float32" if on_cpu else half)
    promised = spec.deterministic if spec.deterministic is not None else (on_cpu and dtype == "float32")
    asked = None if spec.batch_size == "auto" else spec.batch_size
    return Runtime(
        device,
        dtype,
        fixed_batch=(asked or FIXED_BATCH) if promised else None,
        batch_limit=None if promised else asked,
        acceleration=Acceleration.asked_for(spec),
    )


def machine(device: str) -> dict[str, Any]:
    """Device and library versions, as the ledger records them: equal bits are promised on equal machines only.

    Args:
        device: what the networks run on, such as "cpu" or "cuda:1"; "gpu" is its name, None for a CPU.
    """
    import torch

    return {
        "cpu": _cpu_name(),
        "gpu": _gpu_name(torch.device(device)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": version("diffusers"),
        "transformers": version("transformers"),
    }


def _gpu_name(device: torch.device) -> str | None:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return None if device.type == "cpu" else device.type


def _cpu_name() -> str:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
