"""Which weight files of a component are loaded: many repositories hold the same weights in several precisions."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

from hierflow.errors import InputError

_VARIANTS = {"float16": "fp16", "bfloat16": "bf16"}
_SHARD = r"-\d{5}-of-\d{5}"
_POINTER = b"version https://git-lfs"


def variant_files(names: Collection[str], library: str, variant: str | None) -> list[str]:
    """The safetensors files and their index, of one variant, that `from_pretrained` may read among `names`.

    Args:
        names: of the files of a component.
        library: that loads it; transformers names its files otherwise than diffusers.
        variant: such as "fp16"; None for plain weights.
    """
    stem, tag = _stem(library), re.escape(f".{variant}") if variant else ""
    weights = rf"{stem}({tag}({_SHARD})?|{_SHARD}{tag})\.safetensors"
    index = rf"{stem}\.safetensors(\.index{tag}|{tag}\.index)\.json"
    return [name for name in sorted(names) if re.fullmatch(f"{weights}|{index}", name)]


def choose_variant(names: Collection[str], library: str, dtype: str) -> str | None:
    """The variant made for `dtype` where there is one, else plain weights, else whichever half precision there is."""
    order = dict.fromkeys((_VARIANTS.get(dtype), None, "fp16", "bf16"))
    return next((variant for variant in order if variant_files(names, library, variant)), None)


def loaded_files(folder: Path, library: str, variant: str | None) -> list[Path]:
    """The weight files of a component that `from_pretrained` reads: one file, or an index and its shards.

    Raises:
        InputError: the index is not JSON, or there is nothing to read.
    """
    names = variant_files([path.name for path in folder.iterdir()], library, variant)
    single = f"{_stem(library)}{f'.{variant}' if variant else ''}.safetensors"
    index = next((name for name in names if name.endswith(".json")), None)
    if single in names and (index is None or library == "transformers"):
        return [folder / single]
    if index is None:
        others = ", ".join(sorted(path.name for path in folder.glob("*.*") if path.suffix != ".json"))
        raise InputError(
            f"holds no `{single}`" + (f" (but {others})" if others else ""),
            file=folder,
            remedy="give a complete model, saved with safe_serialization=True (pickled weights are not read)",
        )
    try:
        weight_map = json.loads((folder / index).read_text("utf-8"))["weight_map"]
        shards = sorted({Path(name).name for name in weight_map.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "is not an index of weights", file=folder / index, remedy="download the file again"
        ) from error
    return [folder / index, *(folder / name for name in shards)]


def check_file(path: Path) -> None:
    """See that a file of a model is there, and whole as far as its first bytes tell.

    Raises:
        InputError: it is not.
    """
    from safetensors import SafetensorError, safe_open

    remedy = "download the file again"
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(_POINTER)) == _POINTER
        if is_pointer:
            raise InputError("is a Git LFS pointer, not the file itself", file=path, remedy="run `git lfs pull`")
        if path.suffix == ".safetensors":
            with safe_open(path, "np"):  # reads the header, and compares it with the size of the file
                pass
    except FileNotFoundError as error:
        raise InputError("is missing from the model", file=path, remedy=remedy) from error
    except (OSError, SafetensorError) as error:
        raise InputError(f"is incomplete or damaged ({error})", file=path, remedy=remedy) from error


def _stem(library: str) -> str:
    return "model" if library == "transformers" else "diffusion_pytorch_model"
