"""A YAML document to an image-set spec; every fault is one sentence that names file, field, value and remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from hierflow.errors import InputError
from hierflow.spec import GROUP_PATTERN, NAME_PATTERN, URL_PATTERN, ImageSetSpec

COMPONENT = "hierflow.ImageSet"
_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")
"""What Dagster reads at the top of a component's document."""
Model = TypeVar("Model", bound=BaseModel)
# A line and not parsed YAML: a document with a fault in it must be found, so that loading it can tell the fault.
_TYPE_LINE = re.compile(
    rf"""^(\{{\s*)?['"]?type['"]?\s*:\s+['"]?{re.escape(COMPONENT)}['"]?\s*(,|\}}|\s#|$)""", re.MULTILINE
)

_PROBLEMS = {
    "missing": "is missing",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_parsing": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "string_type": "is not text",
    "list_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping of fields",
    "model_attributes_type": "is not a mapping of fields",
    "string_too_short": "is empty",
}


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_document(path: Path) -> ImageSetSpec:
    """The image set that the YAML document at `path` describes.

    Raises:
        InputError: there is no such file, it is not one YAML mapping of type `hierflow.ImageSet`, or a field is
            missing, unknown or out of range.
    """
    try:
        documents = list(yaml.load_all(path.read_text("utf-8"), Loader=_Loader))
    except FileNotFoundError as error:
        raise InputError("does not exist", file=path, remedy="give the path of an image-set document") from error
    except IsADirectoryError as error:
        raise InputError("is a folder", file=path, remedy="give the path of an image-set document") from error
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=path, remedy="save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path, remedy="give a file that can be") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2024-99-99
        raise InputError(f"is not valid YAML ({_one_line(error)})", file=path, remedy="mend the YAML") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise InputError(
            "is not one YAML mapping", file=path, remedy=f"start it with `type: {COMPONENT}` and `attributes:`"
        )
    document = documents[0]
    try:
        if document.get("type") != COMPONENT:
            raise InputError(
                "is not the type of an image set" if "type" in document else "is missing",
                field="type",
                value=document.get("type"),
                remedy=f"write `type: {COMPONENT}`",
            )
        _check_keys(document)
        return validated(ImageSetSpec, document.get("attributes") or {}, "")
    except InputError as error:
        raise error.located(path) from error


def _check_keys(document: dict[Any, Any]) -> None:
    """A misspelt `attributes` would otherwise be taken for a document without any."""
    for key in document:
        if key not in _KEYS:
            raise InputError("is not a field", field=str(key), remedy=_nearest(str(key), _KEYS))


def validated(model: type[Model], fields: Any, where: str) -> Model:
    """`fields` as a `model`.

    Raises:
        InputError: for the first fault; field names are prefixed with `where`.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise _sentence(model, error.errors()[0], where) from error


def _sentence(model: type[BaseModel], fault: Any, where: str) -> InputError:
    path = [str(part) for part in fault["loc"]]
    field = ".".join([part for part in (where,) if part] + path) or "attributes"
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return InputError("is not a field", field=field, remedy=_known_fields(model, path))
    cause = context.get("error")
    if isinstance(cause, InputError):
        return cause
    return InputError(
        _problem(kind, context, fault["msg"]),
        field=field,
        value=None if kind == "missing" else _value(fault["input"]),
        remedy=_remedy(model, path),
    )


def _problem(kind: str, context: dict[str, Any], message: str) -> str:
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = context.get("ge", context.get("le"))
        return f"is not {'at least' if 'ge' in context else 'at most'} {bound:g}"
    if kind == "literal_error":
        return f"is not one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        if context["pattern"] == NAME_PATTERN:
            return "is not a name: a letter first, then letters, digits and underscores, 64 at most"
        if context["pattern"] == GROUP_PATTERN:
            return "is not made of letters, digits and underscores"
        if context["pattern"] == URL_PATTERN:
            return "is not a URL that begins with https://, http:// or file://"
        return f"does not match {context['pattern']}"
    if kind == "value_error":
        return str(context.get("error", message))
    return _PROBLEMS.get(kind, message[:1].lower() + message[1:])


def _remedy(model: type[BaseModel], path: list[str]) -> str:
    """The field's own description is the best help there is."""
    description = _description(model, path)
    return description[:1].lower() + description[1:].rstrip(".") if description else "see the YAML reference"


def _known_fields(model: type[BaseModel], path: list[str]) -> str:
    section = _section(model, path[:-1])
    return _nearest(path[-1], list(section.model_fields) if section else [])


def _nearest(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}" if close else f"the fields here are {', '.join(names)}"


def _section(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    for name in path:
        field = model.model_fields.get(name)
        annotation = field.annotation if field else None
        kinds = [annotation, *get_args(annotation)]  # an optional section is a union with None
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if section is None:
            return None
        model = section
    return model


def _description(model: type[BaseModel], path: list[str]) -> str:
    names = list(path)
    while names:
        section = _section(model, names[:-1])
        if section and names[-1] in section.model_fields:
            return section.model_fields[names[-1]].description or ""
        names.pop()
    return ""


def _value(value: object) -> object:
    return value if value is not None else "null"


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def is_image_set(path: Path) -> bool:
    """Whether a YAML file says it describes an image set; files that cannot be read say so when they are loaded."""
    try:
        return bool(_TYPE_LINE.search(path.read_text("utf-8-sig")))
    except (OSError, UnicodeDecodeError):
        return False
