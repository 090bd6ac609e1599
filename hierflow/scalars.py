"""YAML scalars, read by the type that their field expects.

YAML 1.1 reads `16:9` as 969, `0123` as 83 and `1.10` as 1.1. The loader here keeps the text of every such scalar. A
text field gets the text; a number field refuses what is not written in plain decimal digits.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel

from hierflow.errors import InputError
from hierflow.prompts.settings import SETTINGS

_NUMBER_AXES = {f"prompts.axes.{name}" for name in SETTINGS if name != "negative_prompt"}
"""Axes whose values are numbers, though axes hold text."""


@dataclass(frozen=True)
class Scalar:
    """A scalar that YAML does not read as text.

    Attributes:
        value: what YAML 1.1 makes of it; the ValueError where that fails, as for the date 2024-99-99.
        text: as the document has it.
    """

    value: Any
    text: str


class ScalarLoader(yaml.SafeLoader):
    """Loads mappings, lists, text, and a :class:`Scalar` for everything else. A repeated key is an error."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except ValueError as error:
            value = error
        is_text = isinstance(value, str) or not isinstance(node, yaml.ScalarNode)
        return value if is_text else Scalar(value, node.value)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # While composing, as merge keys (<<) copy pairs into the nodes later.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", key.start_mark)
            keys.add(name)
        return node


def resolve_scalars(value: Any, expected: Any, field: str = "") -> Any:
    """`value` with plain Python values in place of each :class:`Scalar`.

    Args:
        value: what :class:`ScalarLoader` has loaded.
        expected: the type that the field declares, such as a model, `list[str]` or `int | None`.
        field: the dotted path of the field, for errors.

    Raises:
        InputError: a number is not plain decimal, a truth value or a mapping stands where text is expected, or YAML
            cannot read a scalar.
    """
    kinds = _kinds(expected)
    if isinstance(value, Scalar):
        return _resolve_scalar(value, kinds, field)
    if not isinstance(value, dict | list):
        return value
    if kinds <= {str, NoneType}:
        shape = "mapping" if isinstance(value, dict) else "list"
        raise InputError(
            f"is a {shape} in YAML, and text is expected",
            field=field,
            value=_flow_text(value),
            remedy="quote it, as YAML reads {, [ and `: ` outside quotes as its own signs",
        )
    if isinstance(value, list):
        item = _item_type(kinds, (list, tuple))
        return [resolve_scalars(one, item, f"{field}.{at}") for at, one in enumerate(value)]
    model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    resolved = {}
    for key, one in value.items():
        name = _resolve_key(key, field, is_section=model is not None)
        below = f"{field}.{name}".removeprefix(".")
        resolved[name] = resolve_scalars(one, _field_type(name, below, model, kinds), below)
    return resolved


def _field_type(name: str, field: str, model: type[BaseModel] | None, kinds: set[Any]) -> Any:
    if model is not None:
        fields = {about.alias or own: about.annotation for own, about in model.model_fields.items()}
        if name not in fields and model.model_config.get("extra") == "allow":
            return _item_type({get_type_hints(model)["__pydantic_extra__"]}, (dict,))
        return fields.get(name, Any)
    return list[float] if field in _NUMBER_AXES else _item_type(kinds, (dict,))


def _kinds(expected: Any) -> set[Any]:
    """The types that a type allows: unions are split, and a literal is the type of its values."""
    origin = get_origin(expected)
    if origin in (Union, UnionType):
        return set().union(*map(_kinds, get_args(expected)))
    if origin is Annotated:
        return _kinds(get_args(expected)[0])
    if origin is Literal:
        return {type(value) for value in get_args(expected)}
    return {expected}


def _item_type(kinds: set[Any], origins: tuple[type, ...]) -> Any:
    """The type of the items of a list, or of the values of a mapping; Any where nothing is declared."""
    generic = next((kind for kind in kinds if get_origin(kind) in origins), None)
    if generic is None:
        return Any
    return get_args(generic)[1 if get_origin(generic) is dict else 0]


def _resolve_scalar(scalar: Scalar, kinds: set[Any], field: str) -> Any:
    value = scalar.value
    if isinstance(value, ValueError):
        raise InputError(
            f"cannot be read by YAML ({value})", field=field, value=scalar.text, remedy="put it in quotes"
        )
    if isinstance(value, datetime.date):
        return scalar.text
    if str in kinds and {kind for kind in kinds if get_origin(kind) is None} <= {str, NoneType}:
        if isinstance(value, bool):
            raise _truth_value(scalar, field)
        return scalar.text if isinstance(value, int | float) else value
    if isinstance(value, int | float) and not isinstance(value, bool) and not _is_decimal(scalar):
        raise InputError(
            f"is read as {value} by YAML",
            field=field,
            value=scalar.text,
            remedy="write the number in plain decimal digits, without leading zeros, underscores or colons",
        )
    return value


def _is_decimal(scalar: Scalar) -> bool:
    """Whether the number means the same outside YAML; infinities and NaN are left to the field's own checks."""
    value, text = scalar.value, scalar.text
    if not math.isfinite(value):
        return True
    try:
        return "_" not in text and type(value)(text) == value
    except ValueError:
        return False


def _resolve_key(key: Any, field: str, *, is_section: bool) -> str:
    if isinstance(key, Scalar):
        if isinstance(key.value, bool) and not is_section:
            raise _truth_value(key, field)
        return key.text
    return str(key)


def _truth_value(scalar: Scalar, field: str) -> InputError:
    return InputError(
        f"is read as {str(scalar.value).lower()} by YAML, as yes, no, on, off, true and false are truth values",
        field=field,
        value=scalar.text,
        remedy="put the word in quotes",
    )


def _flow_text(value: Any) -> str:
    """A mapping or a list as YAML would have it on one line."""
    if isinstance(value, dict):
        pairs = [(_flow_text(key), _flow_text(one)) for key, one in value.items()]
        return "{" + ", ".join(f"{key}: {one}" if one else key for key, one in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow_text, value)) + "]"
    return value.text if isinstance(value, Scalar) else str(value)
