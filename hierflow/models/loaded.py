"""A model's networks, loaded when they are first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from hierflow.models.former_pipelines import former_pipelines
from hierflow.models.lora import Lora, add_loras, attach_loras, warn_of_misfits
from hierflow.models.placement import Placement
from hierflow.models.quiet import quiet_libraries
from hierflow.models.repository import Repository
from hierflow.models.runtime import Runtime
from hierflow.models.source import ModelSource


class LoadedModel:
    """The two halves of a model's pipeline: the one that encodes, and the one that denoises and decodes.

    They are loaded apart, each without the other's networks, since a run whose prompts have all been encoded before
    needs no text encoder. Nothing here depends on how images are sampled, so every setting of a model shares it.

    Attributes:
        placement: which networks are on the device at the moment.
    """

    def __init__(self, source: ModelSource, runtime: Runtime) -> None:
        self.source, self.runtime = source, runtime
        self.placement = Placement(runtime.device, keeps=runtime.acceleration.offload == "none")

    @cached_property
    def encoder(self) -> Any:
        """The pipeline that encodes prompts."""
        family = self.source.family
        if self.source.prior is not None:
            return self._load(str(family.prior), self.source.prior, {})
        pipeline = self._part_of_pipeline(*family.encoders)
        if any(layers := [len(values) for values in self._lora_markers[1]]):
            denoiser = family.denoiser[0]
            stand_ins = {denoiser: self.network_outline(denoiser)}
            add_loras(pipeline, self.source.loras, layers, family.encoders, stand_ins)
        return pipeline

    @cached_property
    def denoiser(self) -> Any:
        """The pipeline that denoises and decodes."""
        family, acceleration = self.source.family, self.runtime.acceleration
        pipeline = self._part_of_pipeline(*family.denoiser, *family.decoders)
        if any(layers := [len(values) for values in self._lora_markers[0]]):
            add_loras(pipeline, self.source.loras, layers, family.denoiser, {})
        network = getattr(pipeline, family.denoiser[0])
        if acceleration.offload == "layers":
            self.placement.place_by_layers(network)
        acceleration.applied(network)
        if acceleration.vae_tiling:
            getattr(pipeline, family.decoders[0]).enable_tiling()
        return pipeline

    @cached_property
    def lora_warnings(self) -> list[str]:
        """A sentence for each LoRA that is added only in part, known from networks without weights.

        Raises:
            InputError: one was made for another model.
        """
        return [
            sentence
            for lora, *values in zip(self.source.loras, *self._lora_markers, strict=True)
            for sentence in warn_of_misfits(lora, {int(value) for half in values for value in half})
        ]

    @cached_property
    def _lora_markers(self) -> list[list[list[Any]]]:
        """For the denoiser and for the encoders, the markers of each LoRA's layers that they have."""
        family, loras = self.source.family, self.source.loras
        for lora in loras:
            _ = lora.layers  # before diffusers fails on an incomplete file
        in_denoiser = [lora if lora.reaches_denoiser else None for lora in loras]
        in_text = [lora if lora.reaches_text else None for lora in loras]
        return [
            self._attach_to_outline(in_denoiser, family.denoiser),
            self._attach_to_outline(in_text, family.encoders),
        ]

    def _attach_to_outline(self, loras: list[Lora | None], networks: tuple[str, ...]) -> list[list[Any]]:
        """The markers of each LoRA's layers that these networks have."""
        markers: list[list[Any]] = [[] for _ in loras]
        kinds = [True] if any(loras) else []
        if any(lora and lora.has_settings for lora in loras):
            kinds.insert(0, False)  # markers have no settings, which may be wrong too
        for as_markers in kinds:
            outline = self._outlined((*networks, self.source.family.denoiser[0]))
            for network in self.networks(outline, networks):
                _fill_with_zeros(network)
            markers = attach_loras(outline, loras, networks, {}, as_markers=as_markers)
        return markers

    def network_outline(self, component: str) -> Any:
        """A network of the model's own repository without its weights."""
        import torch

        with quiet_libraries(), torch.device("meta"):
            return self._from_config(component)

    @cached_property
    def outline(self) -> Any:
        """The pipeline that denoises and decodes without its weights: it knows sizes and schedules."""
        return self._outlined((*self.source.family.denoiser, *self.source.family.decoders))

    def _outlined(self, components: tuple[str, ...]) -> Any:
        """The model's own pipeline with the networks among `components`, without their weights, and nothing else."""
        import diffusers
        import torch

        repository, family = self.source.repository, self.source.family
        named = [name for name, entry in repository.index.items() if isinstance(entry, list)]
        parts: dict[str, Any] = dict.fromkeys({*named, *family.components})
        with quiet_libraries(), torch.device("meta"):
            for name in repository.networks(components):
                parts[name] = self._from_config(name)
            return getattr(diffusers, family.pipeline)(**parts)

    def networks(self, pipeline: Any, components: tuple[str, ...]) -> list[Any]:
        """The networks among `components` of one of the pipelines above."""
        import torch

        found = (getattr(pipeline, name, None) for name in components)
        return [part for part in found if isinstance(part, torch.nn.Module)]

    def _from_config(self, component: str) -> Any:
        kind, repository = self._class(self.source.repository, component), self.source.repository
        if repository.classes[component][0] == "transformers":
            return kind(kind.config_class.from_pretrained(repository.folder / component, local_files_only=True))
        return kind.from_config(repository.config(component, "config.json"))

    def _class(self, repository: Repository, component: str) -> Any:
        from diffusers.pipelines.pipeline_loading_utils import simple_get_class_obj

        return simple_get_class_obj(*repository.classes[component])

    def _part_of_pipeline(self, *components: str) -> Any:
        """The model's own pipeline with those of `components` it has, and its scheduler."""
        repository, family = self.source.repository, self.source.family
        wanted = repository.present((*components, family.scheduler))
        left_out = {*repository.classes, *family.components} - {*wanted}
        return self._load(family.pipeline, repository, {**dict.fromkeys(left_out), **family.arguments})

    def _load(self, pipeline: str, repository: Repository, given: dict[str, Any]) -> Any:
        """The pipeline with its networks, each in the variant of its weights that suits the precision."""
        networks = [name for name in repository.networks(tuple(repository.classes)) if name not in given]
        with quiet_libraries(), former_pipelines({library for library, _ in repository.classes.values()}):
            import diffusers

            loaded = getattr(diffusers, pipeline).from_pretrained(
                repository.folder,
                use_safetensors=True,
                local_files_only=True,
                **{name: self._load_network(repository, name) for name in networks},
                **given,
            )
        loaded.set_progress_bar_config(disable=True)
        return loaded

    def _load_network(self, repository: Repository, name: str) -> Any:
        variant = repository.variant(name)
        return self._class(repository, name).from_pretrained(
            repository.folder / name,
            dtype=self.runtime.torch_dtype,
            use_safetensors=True,
            local_files_only=True,
            **({} if variant is None else {"variant": variant}),
        )


def _fill_with_zeros(network: Any) -> None:
    """Give a network without weights zeros that take no memory, so that adapters beside them keep their values."""
    import torch

    for module in network.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    zeros = torch.zeros(1, dtype=tensor.dtype).expand(tensor.shape)
                    is_weight = isinstance(tensor, torch.nn.Parameter)
                    tensors[name] = torch.nn.Parameter(zeros, requires_grad=False) if is_weight else zeros
