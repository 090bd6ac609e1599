"""The five styles: each turns the same scene (product, background, outline) into a finished picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from hierflow.mini.catalogue.backgrounds import OVERSAMPLING, PICTURE_SIZE, Pixels, average_down

_Y, _X = (axis.astype(np.float32) for axis in np.mgrid[0:PICTURE_SIZE, 0:PICTURE_SIZE])
_PAPER: Final = np.array((252, 251, 247), np.float32)
_WATERCOLOR_PAPER: Final = np.array((250, 248, 242), np.float32)
_OUTLINE: Final = (20, 16, 24)


@dataclass(frozen=True)
class Scene:
    """What a style is applied to, at the picture's size unless said otherwise.

    `product` is already multiplied by `coverage`; `outline` is the share of each pixel on an edge, between
    materials or within the pattern. `center` and `ground` are canvas positions: the product's horizontal
    centre and its lowest row.
    """

    product: Pixels
    coverage: Pixels
    background: Pixels
    outline: Pixels
    center: float
    ground: float

    def over(self, base: Pixels) -> Pixels:
        """Lay the product over a base picture."""
        return np.asarray(base * (1 - self.coverage[..., None]) + self.product, np.float32)


def _smooth_noise(rng: np.random.Generator, cells: int, strength: float) -> Pixels:
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(
        np.asarray(coarse.resize((PICTURE_SIZE, PICTURE_SIZE), Image.Resampling.BICUBIC)) * strength, np.float32
    )


def _as_bytes(picture: Pixels) -> NDArray[np.uint8]:
    return np.clip(picture, 0, 255).astype(np.uint8)


def _photo(scene: Scene, rng: np.random.Generator) -> Pixels:
    across = (_X - scene.center / OVERSAMPLING) / 15
    down = (_Y - scene.ground / OVERSAMPLING) / 3.2
    shadow = np.exp(-(across**2 + down**2)) * 0.5
    middle = PICTURE_SIZE / 2
    vignette = 1 - 0.1 * ((_X - middle) ** 2 + (_Y - middle) ** 2) / (2 * middle**2)
    picture = scene.over(scene.background * (1 - shadow[..., None])) * vignette[..., None]
    return np.asarray(
        picture + rng.standard_normal((PICTURE_SIZE, PICTURE_SIZE, 1)).astype(np.float32) * 2.0, np.float32
    )


def _flat(scene: Scene, rng: np.random.Generator) -> Pixels:
    del rng  # nothing is drawn by chance
    four_tones = Image.fromarray(_as_bytes(scene.background)).quantize(
        4, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    return scene.over(np.asarray(four_tones.convert("RGB"), np.float32) * 0.75 + 64)


def _line(scene: Scene, rng: np.random.Generator) -> Pixels:
    del rng  # nothing is drawn by chance
    grey = scene.background.mean(axis=2)
    strokes = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    base = _PAPER * 0.72 + scene.background * 0.28 - np.clip(strokes * 1.6, 0, 120)[..., None]
    coverage = scene.coverage[..., None]
    tinted = base * (1 - coverage) + scene.product * 0.68 + coverage * _PAPER * 0.32
    ink = np.clip(scene.outline * 1.5, 0, 1)[..., None] * 0.9
    return np.asarray(tinted * (1 - ink) + 18 * ink, np.float32)


def _watercolor(scene: Scene, rng: np.random.Generator) -> Pixels:
    shift_x, shift_y = _smooth_noise(rng, 7, 0.8), _smooth_noise(rng, 7, 0.8)
    last = PICTURE_SIZE - 1
    rows = np.clip(np.round(_Y + shift_y), 0, last).astype(np.intp)
    columns = np.clip(np.round(_X + shift_x), 0, last).astype(np.intp)
    wobbly = Image.fromarray(_as_bytes(scene.over(scene.background)[rows, columns]))
    picture = np.asarray(wobbly.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    picture = picture * (1 + _smooth_noise(rng, 8, 0.1))[..., None] + 18
    to_border = np.minimum(np.minimum(_X, last - _X), np.minimum(_Y, last - _Y)) + _smooth_noise(rng, 8, 1.4)
    painted = np.clip((to_border - 2.5) / 3, 0, 1)[..., None]
    return np.asarray(picture * painted + _WATERCOLOR_PAPER * (1 - painted), np.float32)


def _pixel(scene: Scene, rng: np.random.Generator) -> Pixels:
    del rng  # nothing is drawn by chance
    coverage = average_down(scene.coverage, 2)[..., None]
    background = average_down(scene.background, 4).repeat(2, 0).repeat(2, 1)
    inside = coverage[..., 0] > 0.5
    product = average_down(scene.product, 2) / np.maximum(coverage, 1e-3)
    picture = np.round(np.where(inside[..., None], product, background) / 36) * 36
    rim = np.zeros_like(inside)
    rim[1:] |= inside[:-1]
    rim[:-1] |= inside[1:]
    rim[:, 1:] |= inside[:, :-1]
    rim[:, :-1] |= inside[:, 1:]
    picture[rim & ~inside] = _OUTLINE
    return np.asarray(picture.repeat(2, 0).repeat(2, 1), np.float32)


_PAINTERS: Final[dict[str, Callable[[Scene, np.random.Generator], Pixels]]] = {
    "photo": _photo,
    "flat": _flat,
    "line": _line,
    "watercolor": _watercolor,
    "pixel": _pixel,
}


def apply_style(style: str, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the finished picture, (64, 64, 3)."""
    return _as_bytes(_PAINTERS[style](scene, rng))
