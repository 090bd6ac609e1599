"""LoRAs: where they lie, whether a model takes them, and how they get into its weights."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierflow.errors import InputError, RunError
from hierflow.models.families import Family
from hierflow.models.fingerprint import file_fingerprint
from hierflow.models.located import folder_or_hub, refuse_revision, resolve_model_path
from hierflow.models.quiet import quiet_libraries
from hierflow.spec import DiffusionSpec, LoraSpec

if TYPE_CHECKING:
    import torch

_USUAL_FILE = "pytorch_lora_weights.safetensors"
_MATRIX = re.compile(
    r"[._]?(?:lora(?:_embedding)?_(?P<new>A|B|down|up)|lora\w*\.(?P<old>down|up)|(?:lokr|hada)_\w+)(?=\.|$)"
)
"""The ends of the names of tensors that change a layer, as PEFT, kohya, diffusers and LyCORIS write them."""
_SIDES = {"A": "A", "down": "A", "B": "B", "up": "B"}
_NONE_FITS = "not found in the base model"
_SHOWN, _LONGEST = 3, 200


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
        return any(map(_is_of_text, self._shapes))

    @property
    def reaches_denoiser(self) -> bool:
        """Whether some of it belongs to the denoiser."""
        return not all(map(_is_of_text, self._shapes))

    @property
    def has_settings(self) -> bool:
        """Whether diffusers takes PEFT's settings from the file, and not from its tensors."""
        with self._open("numpy") as tensors:
            return "lora_adapter_metadata" in (tensors.metadata() or {})

    @cached_property
    def layers(self) -> frozenset[str]:
        """The names of the layers that it changes; reads the whole file.

        Raises:
            InputError: the file is incomplete, holds something else, has values that are not finite, or is all zero.
        """
        if not self._matrices:
            first = f" (its first tensor is {next(iter(self._shapes))!r})" if self._shapes else ""
            raise self._error(f"holds no LoRA weights{first}", "give the file of a LoRA")
        sides = {layer: {*keys.values()} for layer, keys in self._matrices.items()}
        if lacking := [layer for layer, found in sides.items() if len(found) == 1 and found != {None}]:
            what = f"is incomplete: {len(lacking)} of its {len(sides)} layers lack one of their two matrices"
            raise self._error(f"{what} ({_list_names(lacking)})", "download or save it again")
        infinite, zero = list[str](), set[str]()
        with self._open("pt") as tensors:
            for key in self._shapes:
                tensor = tensors.get_tensor(key).float()
                infinite.extend([] if tensor.isfinite().all() else [key])
                zero.update([] if tensor.any() else [key])
        if infinite:
            what = f"holds values that are not finite, in {len(infinite)} of its {len(self._shapes)} tensors"
            raise self._error(f"{what} ({_list_names(infinite)})", "take another version of it")
        changed = frozenset(layer for layer, keys in self._matrices.items() if zero.isdisjoint(keys))
        if not changed:
            raise self._error("changes nothing, as every layer of it is zero", "leave it out")
        return changed

    def markers(self) -> dict[str, torch.Tensor]:
        """Small tensors that diffusers converts as it does the file's: the values of each are its layer's number."""
        import torch

        markers = {}
        numbered = [(number, *item) for number, keys in enumerate(self._matrices.values()) for item in keys.items()]
        for number, key, side in numbered:
            rank = {"A": 0, "B": 1}.get(str(side))
            shape = [1 if axis == rank else size for axis, size in enumerate(self._shapes[key])]
            markers[key] = torch.full(shape, float(number))
        is_lora = any(side for _, _, side in numbered)
        for key in self._shapes.keys() - markers.keys():
            if not key.endswith("alpha"):
                markers[key] = torch.zeros(self._shapes[key])
            elif is_lora:  # equal to the rank, so that it scales nothing
                markers[key] = torch.tensor(1.0)
        return markers

    @cached_property
    def _matrices(self) -> dict[str, dict[str, str | None]]:
        """Layer -> the tensors that change it -> "A" or "B" for the matrices of a LoRA, None for other tensors."""
        found: dict[str, dict[str, str | None]] = {}
        for key in self._shapes:
            if (match := _MATRIX.search(key)) and not key.endswith(".bias"):
                side = _SIDES.get(match["new"] or match["old"])
                found.setdefault(key[: match.start()], {})[key] = side
        return found

    @cached_property
    def _shapes(self) -> dict[str, list[int]]:
        with self._open("numpy") as tensors:
            return {key: tensors.get_slice(key).get_shape() for key in sorted(tensors.keys())}

    def _open(self, framework: str) -> Any:
        from safetensors import SafetensorError, safe_open

        try:
            return safe_open(self.file, framework=framework)
        except (OSError, SafetensorError) as error:
            remedy = "download it again, and give LoRA weights as safetensors"
            raise self._error(f"cannot be read ({error})", remedy) from error

    def _error(self, problem: str, remedy: str) -> InputError:
        return InputError(problem, file=self.file, field="diffusion.loras", value=self.name, remedy=remedy)


def _list_names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


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


def warn_of_misfits(lora: Lora, fitting: set[int]) -> Iterator[str]:
    """A sentence for each thing that a LoRA holds and that is not added to a model.

    Args:
        lora: the LoRA.
        fitting: the numbers of its layers that the model has, as :meth:`Lora.markers` counts them.

    Raises:
        InputError: the model has fewer than half of them.
    """
    misfits = [layer for number, layer in enumerate(lora._matrices) if layer in lora.layers and number not in fitting]
    total, fit = len(lora.layers), len(lora.layers) - len(misfits)
    what = f"the model has {fit} of its {total} layers and lacks {_list_names(misfits)}"
    if fit < total / 2:
        raise _does_not_fit(lora, what)
    if misfits:
        yield f"the LoRA {lora.name!r} is added only in part: {what}"
    if any("dora_scale" in key for key in lora._shapes):
        yield f"the LoRA {lora.name!r} is a DoRA, and diffusers leaves out its magnitudes (`dora_scale`)"


def add_loras(
    pipeline: Any, loras: Sequence[Lora], layers: Sequence[int], networks: Sequence[str], stand_ins: dict[str, Any]
) -> None:
    """Fuse LoRAs into some networks of a loaded pipeline, by diffusers' own means.

    Fused, a network is as fast as without them, and its bits are as stable under a fixed batch.

    Args:
        pipeline: one half of the model's pipeline.
        loras: in the order of the document.
        layers: how many layers of these networks each changes, as networks without weights have shown.
        networks: the components to change; what a LoRA has for others is left alone.
        stand_ins: components this half lacks and the loader looks at, without weights.

    Raises:
        InputError: a LoRA was made for another model.
        RunError: another number of layers than `layers` has it.
    """
    files = [lora if count else None for lora, count in zip(loras, layers, strict=True)]
    attached = [len(values) for values in attach_loras(pipeline, files, networks, stand_ins)]
    if attached != list(layers):
        raise RunError(f"LoRAs were added to {attached} layers of the loaded model and not to {list(layers)}")
    places = [place for place, count in enumerate(layers) if count]
    with quiet_libraries():
        pipeline.set_adapters([_adapter(place) for place in places], [loras[place].weight for place in places])
        pipeline.fuse_lora(components=[name for name in networks if name in pipeline._lora_loadable_modules])
        pipeline.unload_lora_weights()


def attach_loras(
    pipeline: Any,
    loras: Sequence[Lora | None],
    networks: Sequence[str],
    stand_ins: dict[str, Any],
    *,
    as_markers: bool = False,
) -> list[list[torch.Tensor]]:
    """Put LoRAs beside some networks of a pipeline; with networks without weights, this tells whether they fit.

    Args:
        pipeline, networks, stand_ins: as :func:`add_loras` takes them.
        loras: in the order of the document; None for one that these networks do not take.
        as_markers: whether :meth:`Lora.markers` is put there in place of the file.

    Returns:
        For each LoRA, the first value that it holds for each layer of the networks.

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
            from diffusers.utils.logging import set_verbosity

            set_verbosity(logging.CRITICAL)  # what fails is in the error
            warnings.simplefilter("ignore")  # peft's, that there are several, or that some layers are missing
            for place, lora in enumerate(loras):
                if lora is None:
                    continue
                try:
                    _load(pipeline, lora, _adapter(place), as_markers=as_markers)
                except Exception as error:  # diffusers' converters fail in many ways on files they do not know
                    if _NONE_FITS not in str(error):  # the result tells that
                        raise _does_not_fit(lora, error) from error
    finally:
        for name in theirs:
            delattr(pipeline, name)
        for name in stand_ins:
            setattr(pipeline, name, None)
    components = [getattr(pipeline, name, None) for name in networks]
    return [[*_first_values(components, _adapter(place))] for place in range(len(loras))]


def _load(pipeline: Any, lora: Lora, name: str, *, as_markers: bool) -> None:
    pipeline.load_lora_weights(
        lora.markers() if as_markers else str(lora.file.parent),
        weight_name=lora.file.name,
        adapter_name=name,
        use_safetensors=True,
        local_files_only=True,
    )


def _first_values(networks: Sequence[Any], adapter: str) -> Iterator[torch.Tensor]:
    import torch

    for network in networks:
        for layer in network.modules() if isinstance(network, torch.nn.Module) else ():
            parts = [getattr(layer, name) for name in getattr(layer, "adapter_layer_names", ())]
            for matrix in [part[adapter] for part in parts if adapter in part][:1]:
                yield getattr(matrix, "weight", matrix).flatten()[0]


def _loads(loader: str, networks: Sequence[str]) -> bool:
    return any(name.startswith(loader.removeprefix("load_lora_into_")) for name in networks)


def _adapter(place: int) -> str:
    return f"lora_{place}"


def _does_not_fit(lora: Lora, error: Exception | str) -> InputError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = next((line for line in lines if line.startswith("size mismatch")), " ".join(lines) or repr(error))
    remedy = "take a LoRA that was made for it"
    if "infer state dict type" in why and any(key.startswith("lora_te") for key in lora._shapes):
        why = "diffusers reads text encoder layers of kohya's format only if `out_proj` is among them"
        remedy = "save it again in the format of diffusers, or without its text encoder layers"
    elif any(".hada_" in key or ".lokr_" in key for key in lora._shapes):
        remedy = "take a LoRA, as diffusers takes no LoHa or LoKr for this model"
    return lora._error(f"does not fit the model ({why[:_LONGEST]})", remedy)
