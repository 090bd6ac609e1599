"""A sentence-transformers model as its files describe it: what of the format is read, and what is refused by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.models.fingerprint import folder_fingerprint
from hierflow.models.located import folder_or_hub
from hierflow.spec import EmbeddingSpec

POOLINGS = ("cls", "max", "mean", "lasttoken")
"""The ways that a text's tokens become one vector, in the order in which several are put side by side."""

_FIELD = "embedding.from"
_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors"]
_SETTINGS, _TASK = "sentence_*_config.json", "feature-extraction"
_FLAG = "pooling_mode_"
_FORMER = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens"}
"""What `pooling_mode_...` calls those whose name has changed."""


@dataclass(frozen=True)
class SentenceModel:
    """A model: a transformer, a pooling of its tokens, and perhaps a scaling to length 1.

    Attributes:
        name: as the document says it.
        folder: where its files lie.
        transformer: the folder within that holds the transformer and its tokenizer; may be empty.
        pooling: the folder within that says how tokens are pooled.
        poolings: of :data:`POOLINGS`; several are put side by side.
        is_scaled: whether vectors have length 1.
        longest: the most tokens that are read; None for as many as transformer and tokenizer say.
        is_lower: whether texts are put in lower case first.
        prefix: what stands before every text.
        commit: the hub commit it came from; None for a local folder.
    """

    name: str
    folder: Path
    transformer: str
    pooling: str
    poolings: tuple[str, ...]
    is_scaled: bool
    longest: int | None
    is_lower: bool
    prefix: str
    commit: str | None

    @property
    def fingerprint(self) -> str:
        """Identity of the model: the hub commit, or the content of its files."""
        folders = dict.fromkeys(("", self.transformer, self.pooling))
        parts = self.commit or [(name, folder_fingerprint(self.folder / name)) for name in folders]
        return digest("hierflow sentence model 1", parts)


def locate_sentence_model(spec: EmbeddingSpec, base: Path) -> SentenceModel:
    """Find the model that a document clusters by, downloading hub files that are not cached yet.

    Raises:
        InputError: there is none, a folder is given a revision, the weights are not safetensors, or the model is made
            of more than is supported.
    """
    folder, commit = folder_or_hub(
        spec.source,
        base,
        _FILES,
        field=_FIELD,
        revision=spec.revision,
        revision_field="embedding.revision",
        others=["`conditioning`", "`text_encoder`"],
    )
    return _described(spec.source, folder, commit)


def _described(name: str, folder: Path, commit: str | None) -> SentenceModel:
    if not (folder / "modules.json").is_file():
        raise _refused(name, "is no sentence-transformers model (it holds no modules.json)", "give one that is")
    kinds, paths = _modules(name, folder / "modules.json")
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Normalize"}:
        raise _refused(
            name,
            f"is made of {', '.join(kinds)}",
            "take a model of Transformer and Pooling, with or without Normalize",
        )
    transformer, pooling = paths[:2]
    _check_transformer(name, folder / transformer)
    pooled = _json(folder / pooling / "config.json")
    settings = _settings(name, folder / transformer)
    prompts = folder / "config_sentence_transformers.json"
    prefix = _prefix(_json(prompts)) if prompts.is_file() else ""
    if prefix and not pooled.get("include_prompt", True):
        raise _refused(name, "leaves its own prompt out of the pooling, which is not supported", "take another model")
    return SentenceModel(
        name=name,
        folder=folder,
        transformer=transformer,
        pooling=pooling,
        poolings=_poolings(name, pooled),
        is_scaled="Normalize" in kinds,
        longest=settings.get("max_seq_length"),
        is_lower=bool(settings.get("do_lower_case")),
        prefix=prefix,
        commit=commit,
    )


def _modules(name: str, file: Path) -> tuple[list[str], list[str]]:
    """The modules' classes and folders; a class that is not the library's own would be remote code."""
    modules = _json(file)
    try:
        kinds, paths = [str(module["type"]) for module in modules], [str(module["path"]) for module in modules]
    except (TypeError, KeyError) as error:
        raise InputError("is no list of modules", file=file, field=_FIELD, remedy="take another model") from error
    if foreign := [kind for kind in kinds if not kind.startswith("sentence_transformers.")]:
        raise _refused(
            name, f"wants code of its own ({', '.join(foreign)}), which is never run", "take another model"
        )
    return [kind.rpartition(".")[2] for kind in kinds], paths


def _settings(name: str, folder: Path) -> dict[str, Any]:
    file = next(iter(sorted(folder.glob(_SETTINGS))), None)
    found: dict[str, Any] = _json(file) if file else {}
    task = found.get("transformer_task", _TASK)
    if task != _TASK:
        raise _refused(name, f"is a transformer for {task}", f"take one for {_TASK}")
    return found


def _check_transformer(name: str, folder: Path) -> None:
    from transformers import CONFIG_MAPPING

    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise _refused(name, f"is a {kind}, which transformers has no code of its own for", "take another model")
    if config.get("is_encoder_decoder"):
        raise _refused(name, f"is a {kind}, an encoder with a decoder, which is not supported", "take another model")
    if not any(folder.glob("*.safetensors")):
        raise _refused(name, "holds no safetensors weights", "give a model that has some (pickled ones are not read)")


def _poolings(name: str, config: dict[str, Any]) -> tuple[str, ...]:
    asked = config.get("pooling_mode")
    if asked is None:
        former = {_FORMER.get(mode, mode): mode for mode in POOLINGS}
        on = [key.removeprefix(_FLAG) for key, value in config.items() if value and key.startswith(_FLAG)]
        asked = sorted((former.get(mode, mode) for mode in on), key=[*former.values(), *on].index) or ["mean"]
    modes = [asked] if isinstance(asked, str) else list(asked)
    if unknown := [mode for mode in modes if mode not in POOLINGS]:
        remedy = f"take a model that does by {', '.join(POOLINGS)}"
        raise _refused(name, f"pools its tokens by {', '.join(unknown)}, which is not supported", remedy)
    return tuple(modes)


def _prefix(config: dict[str, Any]) -> str:
    default = config.get("default_prompt_name")
    return str(config["prompts"][default]) if default else ""


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read ({error})", file=path, field=_FIELD, remedy="give a complete sentence-transformers model"
        ) from error


def _refused(name: str, problem: str, remedy: str) -> InputError:
    return InputError(problem, field=_FIELD, value=name, remedy=remedy)
