"""Which weights of a hub repository are loaded: many hold the same ones in several precisions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_HALVES = {"float16": "fp16", "bfloat16": "bf16"}
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


class Weights(NamedTuple):
    """What is loaded.

    Attributes:
        files: their paths in the repository.
        variant: what diffusers calls those that are not the plain ones, such as "fp16"; a component without such
            weights is loaded from its plain ones. None where all are plain.
    """

    files: tuple[str, ...]
    variant: str | None


def chosen_weights(files: Sequence[str], components: Sequence[str], dtype: str) -> Weights:
    """The safetensors files of each component in the precision `dtype` if there are such, else the plain ones.

    Where there are only others, those of half precision are taken, and failing that all there are.

    Args:
        files: of the repository, as paths.
        components: those that are loaded; `*` for all.
        dtype: that the networks will have, such as "float16".
    """
    own: dict[str, dict[str, list[str]]] = {}
    for path in sorted(files):
        component, _, name = path.partition("/")
        if name.endswith(".safetensors") and "/" not in name and (component in components or "*" in components):
            own.setdefault(component, {}).setdefault(_variant(name), []).append(path)
    half = _HALVES.get(dtype, "")
    chosen: list[str] = []
    variants = set[str]()
    for found in own.values():
        variant = next((name for name in (half, "", "fp16") if name in found), None)
        chosen += found[variant] if variant is not None else [path for paths in found.values() for path in paths]
        variants.add(variant or "")
    if half in variants:
        return Weights(tuple(chosen), half or None)
    return Weights(tuple(chosen), "fp16" if variants == {"fp16"} else None)


def _variant(name: str) -> str:
    """The variant that a file's name says; empty for plain weights, in one file or in several."""
    _, *tags = name.removesuffix(".safetensors").split(".")
    return _SHARD.sub("", ".".join(tags))
