"""Tiny LoRAs, in diffusers' format."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

RANK = 2
Weights = dict[str, torch.Tensor]


def save_tiny_lora(file: Path, networks: dict[str, torch.nn.Module], *, seed: int = 0) -> dict[str, Weights]:
    """Write a LoRA of the attention's queries of some networks to `file`.

    Args:
        file: where to.
        networks: the networks by the component they are, such as `unet`.
        seed: of its weights.

    Returns:
        What it adds, at weight 1, to each weight it changes, by component and name.
    """
    noise = torch.Generator().manual_seed(seed)
    tensors, added = {}, dict[str, Weights]()
    for component, network in networks.items():
        added[component] = {}
        for name, layer in network.named_modules():
            if isinstance(layer, torch.nn.Linear) and name.endswith((".to_q", ".q_proj")):
                down = torch.randn(RANK, layer.in_features, generator=noise)
                up = torch.randn(layer.out_features, RANK, generator=noise)
                tensors[f"{component}.{name}.lora_A.weight"] = down
                tensors[f"{component}.{name}.lora_B.weight"] = up
                added[component][f"{name}.weight"] = up @ down
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file)
    return added
