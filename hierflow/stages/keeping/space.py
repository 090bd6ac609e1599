"""How much room a set takes."""

from __future__ import annotations

from dataclasses import dataclass

from hierflow.stages.context import Stage


@dataclass(frozen=True)
class Space:
    """Bytes in a set's folder.

    Attributes:
        prompts: how many distinct prompts the set has.
        states, images: of the latents, and of the pictures.
        all: of everything.
    """

    prompts: int
    states: int
    images: int
    all: int

    def as_json(self) -> dict[str, int]:
        """For `--json`."""
        return {"states": self.states, "images": self.images, "all": self.all}

    def a_prompt(self) -> dict[str, int]:
        """The same by prompt, rounded."""
        return {name: round(size / self.prompts) for name, size in self.as_json().items()}


def space_of(stage: Stage, prompts: int) -> Space:
    """What the set of so many distinct prompts takes, by one listing of its folder."""
    sizes = stage.store.files.sizes()

    def below(folder: str) -> int:
        return sum(size for path, size in sizes.items() if path.startswith(f"{folder}/"))

    return Space(prompts, below("states"), below("images"), sum(sizes.values()))
