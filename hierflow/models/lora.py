"""LoRAs: where they lie, whether a model takes them, and how they get into its weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hierflow.errors import InputError
from hierflow.models.families import Family
from hierflow.models.fingerprint import file_fingerprint
from hierflow.models.located import folder_or_hub, refuse_revision, resolve_model_path
from hierflow.models.quiet import quiet_libraries
from hierflow.spec import DiffusionSpec, LoraSpec

_USUAL_FILE = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True)
class Lora:
    """One LoRA of a document, found.

    Attributes:
        name: as the document says it.
        file: its safetensors.
        weight: how much of it is added.
        commit: the hub commit it came from; None for a local file.
    """

    name: str
    file: Path
    weight: float
    commit: str | None = None

    @cached_property
    def identity(self) -> list[Any]:
        """What decides what it adds to the weights."""
        content = [self.commit, self.file.name] if self.commit else [file_fingerprint(self.file)]
        return [*content, self.weight]

    @property
    def reaches_text(self) -> bool:
        """Whether some of it belongs to a text encoder."""
        return any(map(_is_of_text, self._tensors))

    @property
    def reaches_denoiser(self) -> bool:
        """Whether some of it belongs to the denoiser."""
        return not all(map(_is_of_text, self._tensors))

    @cached_property
    def _tensors(self) -> list[str]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.file, framework="numpy") as tensors:
                return list(tensors.keys())
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"cannot be read ({error})",
                file=self.file,
                field="diffusion.loras",
                value=self.name,
                remedy="give LoRA weights as safetensors",
            ) from error


def _is_of_text(tensor: str) -> bool:
    return tensor.startswith(("text_encoder", "lora_te"))


def locate_loras(spec: DiffusionSpec, base: Path, family: Family) -> tuple[Lora, ...]:
    """Find the LoRAs a document names, downloading hub files that are not cached yet.

    Raises:
        InputError: there is no such file, it is given a revision or a `file` that it has no use for, the family takes
            none, or the package `peft` is missing.
    """
    if not spec.loras:
        return ()
    import diffusers

    if not hasattr(getattr(diffusers, family.pipeline), "load_lora_weights"):
        raise InputError(
            f"go with other models, as {family.title} takes no LoRAs",
            field="diffusion.loras",
            remedy="leave them out",
        )
    if find_spec("peft") is None:
        raise InputError(
            "need the package peft, which is not installed",
            field="diffusion.loras",
            remedy="install it: pip install 'hierflow[lora]'",
        )
    return tuple(_located(lora, base, f"diffusion.loras.{place}") for place, lora in enumerate(spec.loras))


def _located(lora: LoraSpec, base: Path, field: str) -> Lora:
    path = resolve_model_path(lora.model, base, f"{field}.model")
    if path.is_file() and path.suffix == ".safetensors":
        refuse_revision(lora.revision, f"{field}.revision")
        if lora.file is not None:
            raise InputError(
                "goes with a folder or a hub id, and `model` is a file",
                field=f"{field}.file",
                value=lora.file,
                remedy="leave it out",
            )
        return Lora(lora.model, path, lora.weight)
    wanted = lora.file or _USUAL_FILE
    folder, commit = folder_or_hub(
        lora.model,
        base,
        [wanted],
        field=f"{field}.model",
        revision=lora.revision,
        revision_field=f"{field}.revision",
        others=["a safetensors file"],
    )
    if commit is None:
        return Lora(lora.model, _file_in(folder, lora, field), lora.weight)
    if not (folder / wanted).is_file():
        raise InputError(
            f"holds no {wanted}", field=f"{field}.model", value=lora.model, remedy="name its safetensors as `file`"
        )
    return Lora(lora.model, folder / wanted, lora.weight, commit)


def _file_in(folder: Path, lora: LoraSpec, field: str) -> Path:
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    if lora.file:
        if (folder / lora.file).is_file():
            return folder / lora.file
        raise InputError(f"is no file of {folder}", field=f"{field}.file", value=lora.file, remedy="name one of it")
    if len(names) != 1:
        raise InputError(
            f"holds {len(names)} safetensors files and not one",
            field=f"{field}.model",
            value=lora.model,
            remedy=f"name one of {', '.join(names)} as `file`" if names else "give LoRA weights as safetensors",
        )
    return folder / names[0]


def add_loras(pipeline: Any, loras: Sequence[Lora], networks: Sequence[str], stand_ins: dict[str, Any]) -> None:
    """Fuse LoRAs into some networks of a loaded pipeline, by diffusers' own means.

    Fused, a network is as fast as without them, and its bits are as stable under a fixed batch.

    Args:
        pipeline: one half of the model's pipeline.
        loras: in the order of the document.
        networks: the components to change; what a LoRA has for others is left alone.
        stand_ins: components this half lacks and the loader looks at, without weights.

    Raises:
        InputError: a LoRA was made for another model.
    """
    attach_loras(pipeline, loras, networks, stand_ins)
    with quiet_libraries():
        pipeline.set_adapters([_adapter(place) for place in range(len(loras))], [lora.weight for lora in loras])
        pipeline.fuse_lora(components=[name for name in networks if name in pipeline._lora_loadable_modules])
        pipeline.unload_lora_weights()


def attach_loras(pipeline: Any, loras: Sequence[Lora], networks: Sequence[str], stand_ins: dict[str, Any]) -> None:
    """Put LoRAs beside some networks of a pipeline; with networks without weights, this tells whether they fit.

    Args:
        pipeline, loras, networks, stand_ins: as :func:`add_loras` takes them.

    Raises:
        InputError: a LoRA was made for another model.
    """
    loaders = ["load_lora_into_unet", "load_lora_into_transformer", "load_lora_into_text_encoder"]
    theirs = [name for name in loaders if hasattr(pipeline, name) and not _loads(name, networks)]
    for name in theirs:
        setattr(pipeline, name, lambda *_, **__: None)
    for name, network in stand_ins.items():
        setattr(pipeline, name, network)
    try:
        with quiet_libraries(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # peft's, that there are several
            for place, lora in enumerate(loras):
                _load(pipeline, lora, _adapter(place))
    finally:
        for name in theirs:
            delattr(pipeline, name)
        for name in stand_ins:
            setattr(pipeline, name, None)
    taken = {name for names in pipeline.get_list_adapters().values() for name in names}
    for place, lora in enumerate(loras):
        if _adapter(place) not in taken:
            raise _made_for_another(lora, "none of its weights belong to this model")


def _load(pipeline: Any, lora: Lora, name: str) -> None:
    try:
        pipeline.load_lora_weights(
            str(lora.file.parent),
            weight_name=lora.file.name,
            adapter_name=name,
            use_safetensors=True,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, KeyError) as error:
        raise _made_for_another(lora, str(error).splitlines()[0]) from error


def _loads(loader: str, networks: Sequence[str]) -> bool:
    return any(name.startswith(loader.removeprefix("load_lora_into_")) for name in networks)


def _adapter(place: int) -> str:
    return f"lora_{place}"


def _made_for_another(lora: Lora, why: str) -> InputError:
    return InputError(
        f"does not fit the model ({why})",
        field="diffusion.loras",
        value=lora.name,
        remedy="take a LoRA that was made for it",
    )
