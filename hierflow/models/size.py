"""How large an image is: what the document asks for, or what the model was made for."""

from __future__ import annotations

from hierflow.errors import InputError
from hierflow.spec import DiffusionSpec


def image_size(spec: DiffusionSpec, usual: tuple[int, int], multiple: int, largest: int | None) -> tuple[int, int]:
    """Height and width in pixels.

    Pipelines would silently round a size that they cannot draw.

    Args:
        spec: what is asked for.
        usual: height and width where nothing is.
        multiple: what both must be multiples of.
        largest: the most a side can have, itself a multiple; None where nothing limits it.

    Raises:
        InputError: the document's size is none the model can draw.
    """
    height, width = usual
    return (
        _side("height", spec.height, height, multiple, largest),
        _side("width", spec.width, width, multiple, largest),
    )


def _side(name: str, asked: int | None, usual: int, multiple: int, largest: int | None) -> int:
    if asked is None:
        return usual
    if largest is not None and asked > largest:
        raise InputError(
            "is more than this model can draw", field=f"diffusion.{name}", value=asked, remedy=f"take {largest}"
        )
    if asked % multiple:
        raise InputError(
            f"is not a multiple of {multiple}, as this model needs",
            field=f"diffusion.{name}",
            value=asked,
            remedy=f"take {-(-asked // multiple) * multiple}",
        )
    return asked
