"""The pairs that baselines were made for, of all runs: the evidence that quality is judged by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hierflow.scoring.pair import ArmImage, Pair
from hierflow.store.sealed import read_json, write_json
from hierflow.store.storage import DamagedFileError, Storage

_FILE = "pairs.json"


class PairBook:
    """The pairs of one image set, in one file that is replaced in one piece.

    Attributes:
        damaged: why the file could not be read; empty if it could. What it told is measured again.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.damaged = ""

    def load(self) -> list[Pair]:
        """All pairs, in the order in which they came."""
        try:
            return [_pair(stored) for stored in read_json(self._storage, _FILE)["pairs"]]
        except FileNotFoundError:
            return []
        except DamagedFileError as error:
            self.damaged = str(error)
            return []

    def save(self, pairs: Iterable[Pair]) -> None:
        """Replace the file."""
        write_json(self._storage, _FILE, {"pairs": [asdict(pair) for pair in pairs]})


def _pair(stored: dict[str, Any]) -> Pair:
    images = {name: ArmImage(**image) for name, image in stored["images"].items()}
    return Pair(**{**stored, "images": images})
