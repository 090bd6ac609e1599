"""What pydantic finds wrong, as one sentence for a user."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hierflow.errors import InputError
from hierflow.spec import GROUP_PATTERN, NAME_PATTERN, SAFETENSORS_PATTERN, URL_PATTERN
from hierflow.spec.running import POOL_PATTERN

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
    "tuple_type": "is not a list",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping of fields",
    "model_attributes_type": "is not a mapping of fields",
    "string_too_short": "is empty",
}


def sentence(model: type[BaseModel], fault: Any) -> InputError:
    """One fault that pydantic found, as an error that names field, value and remedy.

    Args:
        model: what was validated.
        fault: one of `ValidationError.errors()`.
    """
    path = [str(part) for part in fault["loc"]]
    field = ".".join(path) or "attributes"
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
        if context["pattern"] == POOL_PATTERN:
            return "is not a name without spaces"
        if context["pattern"] == GROUP_PATTERN:
            return "is not made of letters, digits, underscores and slashes"
        if context["pattern"] == URL_PATTERN:
            return "is not a URL that begins with https://, http:// or file://"
        if context["pattern"] == SAFETENSORS_PATTERN:
            return "is not the name of a safetensors file"
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
    return nearest(path[-1], list(_fields(section)) if section else [])


def nearest(name: str, names: Sequence[str]) -> str:
    """The remedy for a name that is not among `names`."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}" if close else f"the fields here are {', '.join(names)}"


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by the names that documents call them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _section(model: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    for name in path:
        if name.isdigit():  # the place in a list of sections
            continue
        field = _fields(model).get(name)
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
        if section and names[-1] in _fields(section):
            return _fields(section)[names[-1]].description or ""
        names.pop()
    return ""


def _value(value: object) -> object:
    return value if value is not None else "null"
