"""Where a model lies, and the fingerprints that name it. Nothing here loads a weight."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.fingerprint import folder_fingerprint
from hierflow.spec import DiffusionSpec

MINI = Path(__file__).parent / "mini" / "weights"
FAMILIES = {"KandinskyV22Pipeline": "kandinsky22"}
"""The diffusers pipelines hierflow has an adapter for, and the adapter."""
_DECODER_NETWORKS = ("movq", "unet")
_PRIOR_NETWORKS = ("image_encoder", "prior", "text_encoder")
_FILES = ["*.json", "*.txt", "*.safetensors", "**/*.json", "**/*.txt", "**/*.safetensors"]


@dataclass(frozen=True)
class Repository:
    """One pipeline in diffusers format.

    Attributes:
        folder: where its files lie.
        commit: the hub commit they came from; None for a local folder.
    """

    folder: Path
    commit: str | None = None

    def fingerprint(self, *components: str) -> str:
        """Identity of the named components: the hub commit, or the content of their files."""
        if self.commit:
            return digest(self.commit, sorted(components))
        return digest([(name, folder_fingerprint(self.folder / name)) for name in sorted(components)])

    def config(self, component: str, file: str) -> dict[str, Any]:
        """A component's JSON configuration.

        Raises:
            InputError: it is missing or not JSON.
        """
        path = self.folder / component / file
        try:
            config: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot be read ({error})", file=path, remedy="give a complete model in diffusers format"
            ) from error
        return config

    @property
    def variant(self) -> str | None:
        """ "fp16" if the weights come only as an fp16 variant, else None."""
        weights = list(self.folder.glob("*/*.safetensors"))
        halves = [path for path in weights if ".fp16." in path.name]
        return "fp16" if halves and len(halves) == len(weights) else None


@dataclass(frozen=True)
class ModelSource:
    """A model: its name in the document, its family, and its two pipelines."""

    name: str
    family: str
    decoder: Repository
    prior: Repository

    @property
    def is_mini(self) -> bool:
        """Whether this is the embedded model."""
        return self.decoder.folder == MINI / "decoder"

    def encoder_fingerprint(self, spec: DiffusionSpec, dtype: str) -> str:
        """Identity of what turns a text into conditioning: encoders, prior, its settings, seed and precision."""
        settings = [spec.prior_steps, spec.prior_guidance_scale, spec.prior_seed, dtype]
        parts = ("image_encoder", "prior", "scheduler", "text_encoder", "tokenizer")
        return digest("hierflow encoder 1", self.prior.fingerprint(*parts), settings)


def locate(spec: DiffusionSpec, base: Path) -> ModelSource:
    """Find the model a document names, downloading hub files that are not cached yet.

    Args:
        spec: the document's `diffusion` section.
        base: the folder that relative model folders are relative to.

    Raises:
        InputError: there is no such model, it is not in diffusers format, or its family is not known.
    """
    if spec.model == "mini":
        return ModelSource("mini", "kandinsky22", Repository(MINI / "decoder"), Repository(MINI / "prior"))
    folder = (base / spec.model).resolve()
    if folder.is_dir():
        decoder = folder / "decoder" if (folder / "decoder" / "model_index.json").is_file() else folder
        family = _family(Repository(decoder), spec.model)
        return _complete(ModelSource(spec.model, family, Repository(decoder), _local_prior(spec, base, folder)))
    if spec.model.count("/") != 1 or spec.model.startswith((".", "/", "~")):
        raise InputError(
            "is neither `mini`, nor a folder, nor a hub id",
            field="diffusion.model",
            value=spec.model,
            remedy="give one of them (a hub id looks like `kandinsky-community/kandinsky-2-2-decoder`)",
        )
    decoder_repo = _from_hub(spec.model, spec.revision, "diffusion.model")
    family = _family(decoder_repo, spec.model)
    prior_name = spec.prior or spec.model.replace("-decoder", "-prior")
    return _complete(ModelSource(spec.model, family, decoder_repo, _from_hub(prior_name, None, "diffusion.prior")))


def _complete(source: ModelSource) -> ModelSource:
    """`source`, if every network's weights are there as safetensors: pickled weights can run code and are never read.

    Raises:
        InputError: some are missing, or only there in another format.
    """
    for repository, networks in ((source.decoder, _DECODER_NETWORKS), (source.prior, _PRIOR_NETWORKS)):
        for network in networks:
            if not any((repository.folder / network).glob("*.safetensors")):
                raise InputError(
                    "holds no safetensors weights",
                    file=repository.folder / network,
                    field="diffusion.model",
                    value=source.name,
                    remedy="give a complete model, saved with safe_serialization=True (pickled weights are not read)",
                )
    return source


def _local_prior(spec: DiffusionSpec, base: Path, folder: Path) -> Repository:
    prior = (base / spec.prior).resolve() if spec.prior else folder / "prior"
    if (prior / "model_index.json").is_file():
        return Repository(prior)
    if spec.prior and spec.prior.count("/") == 1 and not spec.prior.startswith((".", "/", "~")):
        return _from_hub(spec.prior, None, "diffusion.prior")
    raise InputError(
        "holds no prior (a `model_index.json`)",
        field="diffusion.prior" if spec.prior else "diffusion.model",
        value=str(prior),
        remedy="set diffusion.prior to the prior's folder or hub id",
    )


def _family(repository: Repository, name: str) -> str:
    if not (repository.folder / "model_index.json").is_file():
        raise InputError(
            "holds no model_index.json",
            field="diffusion.model",
            value=name,
            remedy="give a model in diffusers format, with `decoder` and `prior` folders or diffusion.prior set",
        )
    pipeline = str(repository.config("", "model_index.json").get("_class_name"))
    if pipeline not in FAMILIES:
        raise InputError(
            f"is a {pipeline}, for which there is no adapter",
            field="diffusion.model",
            value=name,
            remedy=f"take a model of {', '.join(sorted(FAMILIES))}",
        )
    return FAMILIES[pipeline]


def _from_hub(name: str, revision: str | None, field: str) -> Repository:
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_FILES))
    except Exception as error:  # the hub client raises some twenty kinds; all mean "not to be had"
        raise InputError(
            f"could not be had from the hub ({type(error).__name__}: {str(error).splitlines()[0]})",
            field=field,
            value=name,
            remedy="check the id and the network, or give a local folder",
        ) from error
    return Repository(folder, commit=folder.name)
