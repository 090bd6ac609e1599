"""The twelve products as polygons and thick lines, in a box of about -1 to 1 with y growing downwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


class Material(IntEnum):
    """What a part is made of; the picture's colour and pattern apply to BODY alone."""

    NOTHING = 0
    BODY = 1
    DARK = 2
    LIGHT = 3
    METAL = 4
    WOOD = 5
    GLASS = 6
    GLOW = 7


@dataclass(frozen=True)
class Part:
    """A filled polygon, or a line of the given width where `line_width` is above 0."""

    points: Points
    material: Material
    line_width: float = 0.0


def _points(*pairs: tuple[float, float]) -> Points:
    return np.array(pairs, np.float64)


def _arc(
    center: tuple[float, float],
    radii: tuple[float, float],
    count: int = 28,
    angles: tuple[float, float] = (0.0, 2 * math.pi),
) -> Points:
    turn = np.linspace(*angles, count)
    return np.stack([center[0] + radii[0] * np.cos(turn), center[1] + radii[1] * np.sin(turn)], axis=1)


def _box(left: float, top: float, right: float, bottom: float) -> Points:
    return _points((left, top), (right, top), (right, bottom), (left, bottom))


def _round_box(left: float, top: float, right: float, bottom: float, radius: float) -> Points:
    corners = ((right, bottom, -1, -1), (left, bottom, 1, -1), (left, top, 1, 1), (right, top, -1, 1))
    quarter = math.pi / 2
    return np.concatenate(
        [
            _arc((x + dx * radius, y + dy * radius), (radius, radius), 6, (k * quarter, (k + 1) * quarter))
            for k, (x, y, dx, dy) in enumerate(corners)
        ]
    )


def _mug(vary: float) -> list[Part]:
    rim = -0.62 + 0.1 * vary
    return [
        Part(_arc((0.48, 0.1), (0.36, 0.38), 20, (-1.7, 1.7)), Material.BODY, 0.17),
        Part(_round_box(-0.72, rim, 0.5, 0.88, 0.16), Material.BODY),
        Part(_arc((-0.11, -0.58 + 0.1 * vary), (0.61, 0.17)), Material.BODY),
        Part(_arc((-0.11, -0.58 + 0.1 * vary), (0.52, 0.12)), Material.DARK),
    ]


def _bottle(vary: float) -> list[Part]:
    half = 0.38 + 0.05 * vary
    outline = _points(
        (-half, 0.92), (-half, -0.05), (-0.15, -0.42), (-0.15, -0.8),
        (0.15, -0.8), (0.15, -0.42), (half, -0.05), (half, 0.92),
    )  # fmt: skip
    return [
        Part(outline, Material.BODY),
        Part(_box(-0.19, -1.0, 0.19, -0.76), Material.METAL),
        Part(_box(-half, 0.25, half, 0.3), Material.LIGHT),
        Part(_box(-half, 0.7, half, 0.75), Material.LIGHT),
    ]


def _chair(vary: float) -> list[Part]:
    half = 0.52 + 0.06 * vary
    back_legs = [
        Part(_points((x * (half - 0.05), 0.1), (x * half * 0.9, 0.78)), Material.WOOD, 0.11) for x in (-1, 1)
    ]
    front_legs = [
        Part(_points((x * (half + 0.1), 0.25), (x * (half + 0.14), 0.95)), Material.WOOD, 0.13) for x in (-1, 1)
    ]
    seat = _points((-half, 0.02), (half, 0.02), (half + 0.17, 0.32), (-half - 0.17, 0.32))
    return [
        *back_legs,
        *front_legs,
        Part(_round_box(-half, -0.98, half, -0.02, 0.16), Material.BODY),
        Part(seat, Material.BODY),
        Part(_points((-half, 0.0), (half, 0.0)), Material.DARK, 0.05),
    ]


def _lamp(vary: float) -> list[Part]:
    top = 0.28 + 0.06 * vary
    return [
        Part(_points((0, -0.1), (0, 0.85)), Material.METAL, 0.12),
        Part(_arc((0, 0.86), (0.42, 0.13)), Material.METAL),
        Part(_points((-top, -0.95), (top, -0.95), (0.72, -0.08), (-0.72, -0.08)), Material.BODY),
        Part(_arc((0, -0.06), (0.7, 0.09)), Material.GLOW),
    ]


def _shoe(vary: float) -> list[Part]:
    del vary  # the shoe keeps one cut
    upper = _points(
        (-0.95, 0.5), (-0.98, 0.0), (-0.92, -0.5), (-0.72, -0.56), (-0.42, -0.5), (-0.2, -0.28),
        (0.1, -0.02), (0.5, 0.06), (0.82, 0.16), (0.98, 0.36), (0.98, 0.5),
    )  # fmt: skip
    laces = [
        Part(_points((x - 0.1, y + 0.16), (x + 0.06, y - 0.06)), Material.LIGHT, 0.07)
        for x, y in ((-0.3, -0.3), (-0.14, -0.16), (0.02, -0.04))
    ]
    return [
        Part(upper, Material.BODY),
        Part(_round_box(-1.0, 0.44, 1.02, 0.68, 0.1), Material.LIGHT),
        Part(_points((-0.88, -0.5), (-0.7, -0.56), (-0.42, -0.5), (-0.6, -0.38)), Material.DARK),
        *laces,
    ]


def _hat(vary: float) -> list[Part]:
    lower_edge = _arc((0, 0.42), (0.6, 0.12), 8, (0, math.pi))
    band_edge = _arc((0, 0.34), (0.6, 0.12), 8, (0, math.pi))
    dome = _arc((0, -0.34), (0.5, 0.3 + 0.06 * vary), 12, (math.pi, 2 * math.pi))
    crown = [_points((-0.6, 0.42), (-0.54, -0.3)), dome, _points((0.54, -0.3), (0.6, 0.42)), lower_edge]
    return [
        Part(_arc((0, 0.42), (1.0, 0.26)), Material.BODY),
        Part(np.concatenate(crown), Material.BODY),
        Part(np.concatenate([_points((-0.585, 0.1), (0.585, 0.1)), band_edge]), Material.DARK),
    ]


def _bag(vary: float) -> list[Part]:
    flap = _points((-0.68, -0.22), (0.68, -0.22), (0.5, 0.16), (0, 0.26), (-0.5, 0.16))
    return [
        Part(_arc((0, -0.2), (0.42, 0.62 + 0.08 * vary), 20, (math.pi, 2 * math.pi)), Material.DARK, 0.12),
        Part(_points((-0.68, -0.22), (0.68, -0.22), (0.9, 0.85), (-0.9, 0.85)), Material.BODY),
        Part(flap, Material.DARK),
        Part(_arc((0, 0.24), (0.1, 0.1)), Material.METAL),
    ]


def _ball(vary: float) -> list[Part]:
    del vary  # a ball has no proportions to vary
    return [
        Part(_arc((0, 0), (0.9, 0.9), 48), Material.BODY),
        Part(_arc((-0.9, 0), (0.75, 0.85), 16, (-0.9, 0.9)), Material.DARK, 0.05),
        Part(_arc((0.9, 0), (0.75, 0.85), 16, (math.pi - 0.9, math.pi + 0.9)), Material.DARK, 0.05),
    ]


def _car(vary: float) -> list[Part]:
    roof = 0.08 * vary
    body = _points(
        (-0.98, 0.42), (-1.0, 0.08), (-0.84, -0.06), (-0.6, -0.1), (-0.36 + roof, -0.55),
        (0.3 + roof, -0.55), (0.62, -0.1), (0.92, 0.0), (1.0, 0.16), (1.0, 0.42),
    )  # fmt: skip
    wheels = [
        Part(_arc((x, 0.44), (radius, radius)), material)
        for x in (-0.56, 0.56)
        for radius, material in ((0.26, Material.DARK), (0.11, Material.METAL))
    ]
    return [
        Part(body, Material.BODY),
        Part(
            _points((-0.46, -0.1), (-0.29 + roof, -0.45), (-0.06 + roof, -0.45), (-0.06, -0.1)),
            Material.GLASS,
        ),
        Part(_points((0.04, -0.1), (0.04 + roof, -0.45), (0.25 + roof, -0.45), (0.46, -0.1)), Material.GLASS),
        *wheels,
        Part(_arc((0.93, 0.15), (0.07, 0.08)), Material.GLOW),
    ]


def _house(vary: float) -> list[Part]:
    windows = [Part(_box(x - 0.17, 0.12, x + 0.17, 0.46), Material.GLASS) for x in (-0.46, 0.46)]
    return [
        Part(_box(0.3, -0.85, 0.5, -0.3), Material.DARK),
        Part(_box(-0.74, -0.12, 0.74, 0.9), Material.BODY),
        Part(_points((-0.95, -0.08), (0, -0.92 + 0.08 * vary), (0.95, -0.08)), Material.WOOD),
        Part(_box(-0.17, 0.35, 0.17, 0.9), Material.DARK),
        *windows,
    ]


def _tree(vary: float) -> list[Part]:
    shift = 0.04 * vary
    crown = (
        (-0.38 + shift, 0.02 - shift, 0.42),
        (0.38 + shift, 0.02 + shift, 0.42),
        (shift, -0.42, 0.52),
        (0, shift, 0.45),
    )
    return [
        Part(_points((-0.12, 0.2), (0.12, 0.2), (0.17, 0.95), (-0.17, 0.95)), Material.WOOD),
        *(Part(_arc((x, y), (radius, radius)), Material.BODY) for x, y, radius in crown),
    ]


def _fish(vary: float) -> list[Part]:
    del vary  # the fish keeps one outline
    return [
        Part(_points((0.45, 0), (1.0, -0.46), (0.88, 0), (1.0, 0.46)), Material.BODY),
        Part(_points((-0.2, -0.3), (0.1, -0.72), (0.4, -0.3)), Material.BODY),
        Part(_arc((-0.15, 0), (0.78, 0.48)), Material.BODY),
        Part(_arc((-0.58, -0.1), (0.13, 0.13)), Material.LIGHT),
        Part(_arc((-0.6, -0.1), (0.065, 0.065)), Material.DARK),
        Part(_arc((-0.42, 0.05), (0.16, 0.3), 10, (-1.1, 1.1)), Material.DARK, 0.05),
    ]


_BUILDERS: Final[dict[str, Callable[[float], list[Part]]]] = {
    "mug": _mug,
    "bottle": _bottle,
    "chair": _chair,
    "lamp": _lamp,
    "shoe": _shoe,
    "hat": _hat,
    "bag": _bag,
    "ball": _ball,
    "car": _car,
    "house": _house,
    "tree": _tree,
    "fish": _fish,
}


def product_parts(product: str, rng: np.random.Generator) -> list[Part]:
    """Return the product's parts, back to front, with its proportions varied a little."""
    return _BUILDERS[product](float(rng.uniform(-1.0, 1.0)))
