"""Where a model lies and of which family it is. Nothing here loads a weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from hierflow.errors import InputError
from hierflow.mini import WEIGHTS
from hierflow.models.families import FAMILIES, Family
from hierflow.models.hub import from_hub, weights_in
from hierflow.models.located import folder_or_hub, refuse_revision
from hierflow.models.lora import Lora, locate_loras
from hierflow.models.repository import Repository
from hierflow.models.runtime import resolve_runtime
from hierflow.models.safety import locate_safety_check
from hierflow.models.weights import chosen_weights
from hierflow.spec import DiffusionSpec

_INDEX = "model_index.json"
_DESCRIPTIONS = ("*.json", "*.txt", "*.model", "*.jinja")


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
    if commit:
        repository = _from_hub(spec.model, commit, field, family.components, resolve_runtime(spec, family.half).dtype)
    prior = _prior(spec, base, None if commit else folder, family) if family.prior else None
    return _complete(ModelSource(spec.model, family, repository, prior), spec)


def _complete(source: ModelSource, spec: DiffusionSpec) -> ModelSource:
    """`source`, if every network's weights are there as safetensors: pickled weights can run code and are never read.

    Raises:
        InputError: some are missing, or only there in another format, or the document gives a prior to a family
            without one.
    """
    family = source.family
    if source.prior is None:
        problem = f"goes with a model that has a prior, and {family.title} has none"
        _refuse(spec, ("prior", "prior_revision"), problem)
    parts = [(source.repository, family.components)]
    if source.prior is not None:
        parts.append((source.prior, family.encoders))
    for repository, components in parts:
        for network in repository.networks(components):
            if not any((repository.folder / network).glob("*.safetensors")):
                raise InputError(
                    "holds no safetensors weights",
                    file=repository.folder / network,
                    field="diffusion.model",
                    value=source.name,
                    remedy="give a complete model, saved with safe_serialization=True (pickled weights are not read)",
                )
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
        return _from_hub(name, spec.prior_revision, field, ("*",), dtype)
    if commit:
        return _from_hub(name, commit, field, ("*",), dtype)
    if not (folder / _INDEX).is_file():
        raise InputError(
            f"holds no prior (a `{_INDEX}`)",
            field="diffusion.model" if spec.prior is None else field,
            value=str(folder),
            remedy="set diffusion.prior to the prior's folder or hub id",
        )
    return Repository(folder)


def _family(repository: Repository, name: str) -> Family:
    if not (repository.folder / _INDEX).is_file():
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


def _from_hub(name: str, revision: str | None, field: str, components: tuple[str, ...], dtype: str) -> Repository:
    """A hub repository, of which the index and the files of `components` that are loaded are on this machine."""
    described = [_INDEX, *(f"{component}/{file}" for component in components for file in _DESCRIPTIONS)]
    folder = from_hub(name, revision, field, described)
    weights = chosen_weights(weights_in(name, folder, field), components, dtype)
    # The commit, for the branch may have moved between the two.
    folder = from_hub(name, folder.name, field, [*described, *weights.files])
    return Repository(folder, commit=folder.name, chosen=weights.variant)
