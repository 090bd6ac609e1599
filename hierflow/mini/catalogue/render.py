"""Draw a picture from its five attributes: place the product, colour it, pattern it, and apply the style."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hierflow.mini.catalogue.backgrounds import CANVAS_SIZE, Pixels, average_down, draw_background
from hierflow.mini.catalogue.grammar import BACKGROUNDS, COLORS, PATTERNS, PRODUCTS, STYLES, Attributes
from hierflow.mini.catalogue.shapes import Material, Part, product_parts
from hierflow.mini.catalogue.styles import Scene, apply_style

COLOR_VALUES: Final = {
    "red": (208, 32, 36),
    "orange": (242, 128, 22),
    "yellow": (248, 212, 40),
    "green": (44, 150, 60),
    "blue": (36, 92, 210),
    "purple": (126, 52, 170),
    "pink": (244, 130, 178),
    "brown": (120, 72, 38),
    "black": (32, 32, 38),
    "white": (244, 244, 242),
}
MATERIAL_VALUES: Final = {
    Material.DARK: (52, 50, 56),
    Material.LIGHT: (240, 238, 230),
    Material.METAL: (150, 156, 166),
    Material.WOOD: (140, 92, 50),
    Material.GLASS: (176, 218, 238),
    Material.GLOW: (255, 236, 150),
}
# The pattern's second colour has to stand out from the first.
SECOND_COLOR_VALUES: Final = {"white": (64, 70, 92), "yellow": (120, 74, 16), "black": (232, 228, 216)}
DEFAULT_SECOND_COLOR: Final = (250, 246, 232)
UPRIGHT_STRIPES: Final = frozenset({"bag", "house", "hat", "bottle", "lamp", "car"})
FREELY_TURNED: Final = frozenset({"bottle", "ball", "fish"})

_Y, _X = (axis.astype(np.float32) for axis in np.mgrid[0:CANVAS_SIZE, 0:CANVAS_SIZE])


@dataclass(frozen=True)
class Placement:
    """Where the product stands on the canvas: centre, size, turn (radians) and whether it is mirrored."""

    x: float
    y: float
    scale: float
    angle: float
    mirror: int

    def to_canvas(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map the product's own coordinates to canvas positions."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        matrix = np.array([[cos * self.mirror, sin * self.mirror], [-sin, cos]]) * self.scale
        return points @ matrix + (self.x, self.y)

    def own_coordinates(self) -> tuple[Pixels, Pixels]:
        """Return every canvas position's two coordinates on the product, so that patterns turn with it."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        right, down = (_X - self.x) / self.scale, (_Y - self.y) / self.scale
        return (right * cos + down * sin) * self.mirror, down * cos - right * sin


def _random_placement(product: str, rng: np.random.Generator) -> Placement:
    angle = rng.uniform(-0.14, 0.14) * (2 if product in FREELY_TURNED else 1)
    return Placement(
        x=CANVAS_SIZE * (0.5 + rng.uniform(-0.08, 0.08)),
        y=CANVAS_SIZE * (0.53 + rng.uniform(-0.05, 0.06)),
        scale=rng.uniform(0.56, 0.72) * CANVAS_SIZE / 2,
        angle=angle,
        mirror=1 if rng.random() < 0.5 else -1,
    )


def _draw_materials(parts: list[Part], placement: Placement) -> NDArray[np.uint8]:
    """Return the material of every canvas position."""
    canvas = Image.new("L", (CANVAS_SIZE, CANVAS_SIZE), Material.NOTHING)
    draw = ImageDraw.Draw(canvas)
    for part in parts:
        corners = [(float(x), float(y)) for x, y in placement.to_canvas(part.points)]
        if part.line_width:
            width = max(2, int(part.line_width * placement.scale))
            draw.line(corners, fill=part.material, width=width, joint="curve")
        else:
            draw.polygon(corners, fill=part.material)
    return np.asarray(canvas)


def _pattern_mask(pattern: str, product: str, placement: Placement, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return where the pattern's second colour lies, were the whole canvas the product's body."""
    across, down = placement.own_coordinates()
    if pattern == "plain":
        return np.zeros(across.shape, np.bool_)
    period = (0.26 if pattern == "checked" else 0.36) * rng.uniform(0.9, 1.1)
    if pattern == "striped":
        along = across if product in UPRIGHT_STRIPES else down
        return np.asarray((along / period + 0.25) % 1 < 0.45)
    if pattern == "dotted":
        row = np.floor(down / period)
        from_dot_x = (across / period + (row % 2) * 0.5) % 1 - 0.5
        from_dot_y = (down / period) % 1 - 0.5
        return np.asarray(from_dot_x**2 + from_dot_y**2 < 0.075)
    return np.asarray((np.floor(across / period) + np.floor(down / period)) % 2 < 1)


def _paint(
    materials: NDArray[np.uint8], patterned: NDArray[np.bool_], color: str, rng: np.random.Generator
) -> Pixels:
    """Return the product's colours on the canvas (black where there is no product)."""
    table = np.zeros((len(Material), 3), np.float32)
    for material, value in MATERIAL_VALUES.items():
        table[material] = value
    table[Material.BODY] = np.array(COLOR_VALUES[color]) + rng.uniform(-8, 8, 3)
    painted = table[materials]
    painted[patterned] = SECOND_COLOR_VALUES.get(color, DEFAULT_SECOND_COLOR)
    return painted


def _shade(painted: Pixels, placement: Placement, color: str) -> Pixels:
    """Light the product from its upper left, as the photo style alone does."""
    across, down = placement.own_coordinates()
    shade = 1.1 - 0.3 * np.clip((across * 0.8 + down * 0.5 + 0.7) / 1.6, 0, 1)
    glint = np.exp(-(((across + 0.32) / 0.22) ** 2 + ((down + 0.35) / 0.3) ** 2))
    # A white product would lose its pattern under the full highlight.
    return np.asarray(painted * shade[..., None] + (glint * (20 if color == "white" else 70))[..., None], np.float32)


def _edges(regions: NDArray[np.integer]) -> Pixels:
    """Return the share of each picture pixel within one canvas position of a border between regions."""
    edge = np.zeros(regions.shape, np.bool_)
    edge[:, 1:] |= regions[:, 1:] != regions[:, :-1]
    edge[1:] |= regions[1:] != regions[:-1]
    thick = edge.copy()
    thick[:, :-1] |= edge[:, 1:]
    thick[:-1] |= edge[1:]
    thick[1:] |= edge[:-1]
    return average_down(thick)


def _random_background(background: str, rng: np.random.Generator) -> Pixels:
    picture = draw_background(background, rng)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    return picture * np.float32(rng.uniform(0.94, 1.05))


def render(attributes: Attributes, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one picture of these attributes, (64, 64, 3); everything they leave open is drawn by chance."""
    product, color = PRODUCTS[attributes.product], COLORS[attributes.color]
    style = STYLES[attributes.style]
    background = _random_background(BACKGROUNDS[attributes.background], rng)
    placement = _random_placement(product, rng)
    materials = _draw_materials(product_parts(product, rng), placement)
    pattern = _pattern_mask(PATTERNS[attributes.pattern], product, placement, rng)
    patterned = pattern & (materials == Material.BODY)
    painted = _paint(materials, patterned, color, rng)
    if style == "photo":
        painted = _shade(painted, placement, color)
    covered = materials != Material.NOTHING
    scene = Scene(
        product=average_down(painted * covered[..., None]),
        coverage=average_down(covered),
        background=background,
        outline=_edges(materials.astype(np.int16) + 16 * patterned),
        center=placement.x,
        ground=float(np.flatnonzero(covered.any(axis=1))[-1]),
    )
    return apply_style(style, scene, rng)
