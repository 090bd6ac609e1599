"""The eight backgrounds, drawn at three times the picture's size and then averaged down."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hierflow.mini.catalogue.grammar import BACKGROUNDS

PICTURE_SIZE: Final = 64
OVERSAMPLING: Final = 3
CANVAS_SIZE: Final = PICTURE_SIZE * OVERSAMPLING
POOL_SIZE: Final = 120

Pixels = NDArray[np.float32]
Color = tuple[float, float, float]

_Y, _X = (axis.astype(np.float32) / CANVAS_SIZE for axis in np.mgrid[0:CANVAS_SIZE, 0:CANVAS_SIZE])


def average_down(canvas: NDArray[np.generic], factor: int = OVERSAMPLING) -> Pixels:
    """Average square blocks of `factor` pixels a side; trailing channels are kept."""
    rows, columns, *channels = canvas.shape
    blocks = canvas.reshape(rows // factor, factor, columns // factor, factor, *channels)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _fill(color: Color) -> Pixels:
    return np.broadcast_to(np.array(color, np.float32), (CANVAS_SIZE, CANVAS_SIZE, 3)).copy()


def _split(horizon: float, above: Color, below: Color) -> Pixels:
    return np.where((horizon > _Y)[..., None], np.array(above, np.float32), np.array(below, np.float32))


def _gradient(top: Color, bottom: Color) -> Pixels:
    depth = _Y[..., None]
    return np.asarray((1 - depth) * np.array(top, np.float32) + depth * np.array(bottom, np.float32), np.float32)


def _as_drawing(canvas: Pixels) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    return picture, ImageDraw.Draw(picture)


def _horizon(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.5, 0.68))


def _studio(rng: np.random.Generator) -> Pixels:
    horizon = _horizon(rng)
    floor_shade = (horizon < _Y) * 8 * (1 - (_Y - horizon))
    vignette = ((_X - 0.5) ** 2 + (_Y - 0.5) ** 2) * 24
    return np.asarray(_fill((238, 239, 242)) - (floor_shade + vignette)[..., None], np.float32)


def _table(rng: np.random.Generator) -> Pixels:
    horizon, phase, planks = _horizon(rng), rng.uniform(0, 6), int(rng.integers(4, 6))
    red, green, blue = np.array((226, 214, 196)) + rng.uniform(-10, 10, 3)
    canvas = _split(horizon, (red, green, blue), (172, 112, 62))
    depth = (_Y - horizon) / (1 - horizon)
    plank = np.floor(np.clip(depth, 0, 0.999) * planks)
    grain = np.sin(_X * 34 + np.sin(depth * 9 + phase) * 2 + plank * 3) * 5
    wood = horizon <= _Y
    canvas += (wood * (np.sin(plank * 2.7 + phase) * 14 + grain))[..., None]
    canvas[wood & ((depth * planks) % 1 < 0.1)] *= 0.6
    canvas[np.abs(_Y - horizon) < 0.012] = (110, 66, 34)
    return canvas


def _grass(rng: np.random.Generator) -> Pixels:
    horizon, phase = _horizon(rng), rng.uniform(0, 6)
    blades = np.sin(_X * 150 + np.sin(_Y * 40 + phase) * 3) * np.sin(_Y * 90 + phase) * 22
    return np.asarray(
        _split(horizon, (190, 224, 240), (92, 168, 62)) + ((horizon <= _Y) * blades)[..., None], np.float32
    )


def _beach(rng: np.random.Generator) -> Pixels:
    horizon, phase = _horizon(rng), rng.uniform(0, 6)
    canvas = _split(horizon, (150, 210, 240), (238, 214, 152))
    canvas[(horizon - 0.16 < _Y) & (horizon > _Y)] = (40, 140, 190)
    foam = (horizon - 0.02 + 0.015 * np.sin(_X * 20 + phase) < _Y) & (horizon + 0.03 + 0.015 * np.sin(_X * 15) > _Y)
    canvas[foam] = (248, 250, 250)
    side = CANVAS_SIZE // 3
    grains = rng.standard_normal((side, side)).astype(np.float32).repeat(3, 0).repeat(3, 1) * 7
    return np.asarray(canvas + ((horizon + 0.03 <= _Y) * grains)[..., None], np.float32)


def _night(rng: np.random.Generator) -> Pixels:
    picture, draw = _as_drawing(_gradient((22, 28, 84), (66, 70, 140)))
    for _ in range(26):
        x, y, radius = rng.uniform(0, CANVAS_SIZE), rng.uniform(0, CANVAS_SIZE * 0.85), rng.uniform(1.2, 2.8)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 252, 226))
    x, y, radius = (
        rng.uniform(0.1, 0.9) * CANVAS_SIZE,
        rng.uniform(0.1, 0.25) * CANVAS_SIZE,
        0.075 * CANVAS_SIZE,
    )
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(250, 242, 190))
    return np.asarray(picture, np.float32)


def _brick(rng: np.random.Generator) -> Pixels:
    height = rng.uniform(0.095, 0.12)
    width = height * 2.2
    shift_x, shift_y = rng.uniform(0, 1, 2)
    across_y = (_Y + shift_y) / height
    row = np.floor(across_y)
    across_x = (_X + shift_x + (row % 2) * width / 2) / width
    is_brick = (across_x % 1 > 0.07) & (across_y % 1 > 0.14)
    tone = np.sin(np.floor(across_x) * 12.9 + row * 78.2) * 16
    wall = np.where(is_brick[..., None], _fill((168, 82, 62)) + tone[..., None], _fill((222, 208, 196)))
    floor = rng.uniform(0.8, 0.88)
    return np.where((floor < _Y)[..., None], np.array((128, 124, 122), np.float32), wall)


def _sky(rng: np.random.Generator) -> Pixels:
    picture, draw = _as_drawing(_gradient((84, 160, 232), (190, 224, 248)))
    for _ in range(4):
        cloud_x, cloud_y = rng.uniform(0, CANVAS_SIZE), rng.uniform(0.06, 0.7) * CANVAS_SIZE
        for puff in range(4):
            x = cloud_x + (puff - 1.5) * CANVAS_SIZE * 0.06
            y = cloud_y + rng.uniform(-0.02, 0.02) * CANVAS_SIZE
            radius = CANVAS_SIZE * rng.uniform(0.045, 0.075)
            box = (x - radius * 1.2, y - radius * 0.8, x + radius * 1.2, y + radius * 0.8)
            draw.ellipse(box, fill=(250, 252, 255))
    draw.rectangle((0, int(CANVAS_SIZE * 0.86), CANVAS_SIZE, CANVAS_SIZE), fill=(136, 190, 110))
    return np.asarray(picture, np.float32)


def _draw_building(
    draw: ImageDraw.ImageDraw, left: float, top: float, width: float, ground: float, grey: int
) -> None:
    draw.rectangle((left, top, left + width - 3, ground), fill=(grey, grey, grey + 14))
    for window_y in np.arange(top + 7, ground - 8, 16):
        for window_x in np.arange(left + 6, left + width - 12, 14):
            draw.rectangle((window_x, window_y, window_x + 6, window_y + 8), fill=(250, 232, 150))


def _street(rng: np.random.Generator) -> Pixels:
    picture, draw = _as_drawing(_fill((206, 214, 222)))
    ground = _horizon(rng) * CANVAS_SIZE
    left = -rng.uniform(0, 0.2) * CANVAS_SIZE
    while left < CANVAS_SIZE:
        width, top = rng.uniform(0.16, 0.28) * CANVAS_SIZE, rng.uniform(0.04, 0.3) * CANVAS_SIZE
        _draw_building(draw, left, top, width, ground, int(rng.uniform(96, 160)))
        left += width
    draw.rectangle((0, ground, CANVAS_SIZE, CANVAS_SIZE), fill=(84, 86, 92))
    lane = ground + (CANVAS_SIZE - ground) * 0.55
    for dash in np.arange(-rng.uniform(0, 30), CANVAS_SIZE, 44):
        draw.rectangle((dash, lane, dash + 24, lane + 6), fill=(240, 240, 236))
    draw.rectangle((0, ground, CANVAS_SIZE, ground + 7), fill=(176, 176, 172))
    return np.asarray(picture, np.float32)


_PAINTERS: Final[dict[str, Callable[[np.random.Generator], Pixels]]] = {
    "studio": _studio,
    "table": _table,
    "grass": _grass,
    "beach": _beach,
    "night": _night,
    "brick": _brick,
    "sky": _sky,
    "street": _street,
}


@cache
def _pool(background: str) -> list[Pixels | None]:
    return [None] * POOL_SIZE


def draw_background(background: str, rng: np.random.Generator) -> Pixels:
    """Return one of the background's 120 variants as a picture-sized float array in 0..255.

    A variant is drawn when it is first asked for and kept; it is the same in every process.
    """
    pool, index = _pool(background), int(rng.integers(POOL_SIZE))
    variant = pool[index]
    if variant is None:
        own_rng = np.random.default_rng((BACKGROUNDS.index(background), index))
        variant = average_down(np.clip(_PAINTERS[background](own_rng), 0, 255))
        pool[index] = variant
    return variant
