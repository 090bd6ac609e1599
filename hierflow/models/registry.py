"""From a document to an adapter. One process keeps the last model it used."""

from __future__ import annotations

from pathlib import Path

from hierflow.models.adapter import Adapter
from hierflow.models.runtime import resolve_runtime
from hierflow.models.source import locate
from hierflow.spec import DiffusionSpec

_kept: dict[tuple[str, str], Adapter] = {}


def open_model(spec: DiffusionSpec, base: Path) -> Adapter:
    """The adapter of the model a document names, not yet loaded.

    Asking again for the same model and settings gives the same adapter, loaded as far as it was, so that many
    partitions in one process load it once.

    Raises:
        InputError: the model cannot be found or used.
    """
    key = (spec.model_dump_json(), str(base))
    if key not in _kept:
        source = locate(spec, base)
        _kept.clear()  # two large models rarely fit
        _kept[key] = source.family.adapter_class()(source, spec, resolve_runtime(spec, source.family.half))
    return _kept[key]
