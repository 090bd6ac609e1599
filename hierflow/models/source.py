"""Where a model lies and of which family it is. Nothing here loads a weight."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from hierflow.errors import InputError
from hierflow.mini import WEIGHTS
from hierflow.models.families import FAMILIES, Family
from hierflow.models.hub import from_hub, hub_files
from hierflow.models.located import folder_or_hub, refuse_revision, resolve_model_path
from hierflow.models.lora import Lora, locate_loras
from hierflow.models.repository import Repository
from hierflow.models.runtime import resolve_runtime
from hierflow.models.safety import locate_safety_check
from hierflow.models.weights import check_file, choose_variant, variant_files
from hierflow.spec import DiffusionSpec

_INDEX = "model_index.json"
_DESCRIPTIONS = ("*.json", "*.txt", "*.model", "*.jinja")
_SINGLE_FILES = {
    "conditioner.embedders.": "StableDiffusionXLPipeline",
    "cond_stage_model.": "StableDiffusionPipeline",
    ".joint_blocks.": "StableDiffusion3Pipeline",
    "double_blocks.0.img_mod.": "FluxPipeline",
}
"""The pipeline of a checkpoint in a single file, by a part of the names of its weights."""
_ENCODERS = ("conditioner.", "cond_stage_model.", "text_encoders.")
"""How the text encoder's weights begin: without them, no pipeline can be made of a single file alone."""


@dataclass(frozen=True)
class ModelSource:
    """A model: its name in the document, its family, and where its files lie.

    Attributes:
        name: as the document says it.
        family: of :data:`~hierflow.models.families.FAMILIES`.
        repository: the pipeline that denoises and decodes, encoders included but for families with a prior.
        prior: the pipeline that encodes, for families that keep it in a repository of its own.
        loras: what is added to its weights.
        safety_checker: what flags its images; None where nothing does.
    """

    name: str
    family: Family
    repository: Repository
    prior: Repository | None = None
    loras: tuple[Lora, ...] = ()
    safety_checker: Repository | None = None

    @property
    def is_mini(self) -> bool:
        """Whether this is the embedded model."""
        return self.repository.folder == WEIGHTS / "decoder"


def locate(spec: DiffusionSpec, base: Path) -> ModelSource:
    """Find the model a document names and what goes with it, downloading hub files that are not cached yet.

    Args:
        spec: the document's `diffusion` section.
        base: the folder that relative model folders are relative to.

    Raises:
        InputError: there is no such model, it is not in diffusers format, its family is not known, or it is given a
            revision or a prior that it has no use for.
    """
    source = _model(spec, base)
    return replace(
        source,
        loras=locate_loras(spec, base, source.family),
        safety_checker=locate_safety_check(spec.safety_check, base) if spec.safety_check else None,
    )


def _model(spec: DiffusionSpec, base: Path) -> ModelSource:
    if spec.model == "mini":
        _refuse(spec, ("revision", "prior", "prior_revision"), "goes with another model: `mini` has all it needs")
        kandinsky = FAMILIES["KandinskyV22Pipeline"]
        return ModelSource("mini", kandinsky, Repository(WEIGHTS / "decoder"), Repository(WEIGHTS / "prior"))
    field = "diffusion.model"
    if (path := resolve_model_path(spec.model, base, field)).is_file():
        raise _single_file(path, spec.model)
    folder, commit = folder_or_hub(
        spec.model,
        base,
        [_INDEX],
        field=field,
        revision=spec.revision,
        revision_field="diffusion.revision",
        others=["`mini`"],
    )
    nested = commit is None and (folder / "decoder" / _INDEX).is_file()
    repository = Repository(folder / "decoder" if nested else folder, commit)
    family = _family(repository, spec.model)
    dtype = resolve_runtime(spec, family.half).dtype
    if commit:
        repository = _from_hub(spec.model, commit, field, family.components, dtype)
    else:
        repository = Repository(repository.folder, dtype=dtype)
    prior = _prior(spec, base, None if commit else folder, family) if family.prior else None
    return _complete(ModelSource(spec.model, family, repository, prior), spec)


def _complete(source: ModelSource, spec: DiffusionSpec) -> ModelSource:
    """`source`, if all of it is there, with weights as safetensors: pickled weights can run code and are never read.

    Raises:
        InputError: something is missing or incomplete, or the document gives a prior to a family without one.
    """
    family = source.family
    if source.prior is None:
        problem = f"goes with a model that has a prior, and {family.title} has none"
        _refuse(spec, ("prior", "prior_revision"), problem)
    source.repository.check(*source.repository.present(family.components))
    if source.prior is not None:
        source.prior.check(*source.prior.classes)
    return source


def _refuse(spec: DiffusionSpec, fields: tuple[str, ...], problem: str) -> None:
    for field in fields:
        if (given := getattr(spec, field)) is not None:
            raise InputError(problem, field=f"diffusion.{field}", value=given, remedy="leave it out")


def _prior(spec: DiffusionSpec, base: Path, model: Path | None, family: Family) -> Repository:
    """The prior that is named; else that in the model's folder, or (None) what its hub id says with `-prior`."""
    name = spec.prior or spec.model.replace("-decoder", "-prior")
    field, revision_field = "diffusion.prior", "diffusion.prior_revision"
    dtype = resolve_runtime(spec, family.half).dtype
    if spec.prior is not None:
        folder, commit = folder_or_hub(
            name, base, [_INDEX], field=field, revision=spec.prior_revision, revision_field=revision_field
        )
    elif model is not None:
        refuse_revision(spec.prior_revision, revision_field)
        folder, commit = model / "prior", None
    else:
        return _from_hub(name, spec.prior_revision, field, None, dtype)
    if commit:
        return _from_hub(name, commit, field, None, dtype)
    if not (folder / _INDEX).is_file():
        raise InputError(
            f"holds no prior (a `{_INDEX}`)",
            field="diffusion.model" if spec.prior is None else field,
            value=str(folder),
            remedy="set diffusion.prior to the prior's folder or hub id",
        )
    return Repository(folder, dtype=dtype)


def _family(repository: Repository, name: str) -> Family:
    if not (repository.folder / _INDEX).is_file():
        if checkpoints := sorted(repository.folder.glob("*.safetensors")):
            raise _single_file(checkpoints[0], name)
        raise InputError(
            "holds no model_index.json",
            field="diffusion.model",
            value=name,
            remedy="give a model in diffusers format",
        )
    pipeline = str(repository.index.get("_class_name"))
    if pipeline not in FAMILIES:
        raise InputError(
            f"is a {pipeline}, for which there is no adapter",
            field="diffusion.model",
            value=name,
            remedy=f"take a model of {', '.join(sorted(FAMILIES))}",
        )
    return FAMILIES[pipeline]


def _single_file(path: Path, name: str) -> InputError:
    """The error for a checkpoint in one file; it says how to convert it."""
    if path.suffix != ".safetensors":
        problem = "is a file, and no model in diffusers format (pickled checkpoints are never read)"
        return InputError(
            problem,
            field="diffusion.model",
            value=name,
            remedy="convert it to safetensors, then to a diffusers folder",
        )
    check_file(path)
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    if any(key.startswith("lora_") or ".lora" in key for key in header):
        return InputError("is a LoRA", field="diffusion.model", value=name, remedy="put it into diffusion.loras")
    pipeline = next(
        (pipeline for part, pipeline in _SINGLE_FILES.items() if any(part in key for key in header)), None
    )
    remedy = "give a folder in diffusers format"
    if pipeline and any(key.startswith(_ENCODERS) for key in header):
        call = f"{pipeline}.from_single_file({str(path)!r}).save_pretrained({str(path.with_suffix(''))!r})"
        remedy = f"convert it once, in Python: `from diffusers import {pipeline}` and `{call}`"
    problem = "is a checkpoint in a single file, which is not read"
    return InputError(problem, field="diffusion.model", value=name, remedy=remedy)


def _from_hub(
    name: str, revision: str | None, field: str, components: tuple[str, ...] | None, dtype: str
) -> Repository:
    """A hub repository, of which the files of `components` (None for all) that are loaded are on this machine."""
    folder = from_hub(name, revision, field, [_INDEX])
    repository = Repository(folder, folder.name, dtype)
    components = tuple(repository.classes) if components is None else components
    patterns = [_INDEX, *(f"{component}/{file}" for component in components for file in _DESCRIPTIONS)]
    files = hub_files(name, folder)
    for network in repository.networks(components):
        names = [path.removeprefix(f"{network}/") for path in files if path.startswith(f"{network}/")]
        library = repository.classes[network][0]
        chosen = variant_files(names, library, choose_variant(names, library, dtype))
        patterns += [f"{network}/{name}" for name in chosen]
    from_hub(name, folder.name, field, patterns)  # the commit, for the branch may have moved between the two
    return repository
