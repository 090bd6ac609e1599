"""Trees and plans: immutable, named by content, with one `current` pointer that is replaced in one piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

from hierflow.plan.compiled import CompiledPlan
from hierflow.plan.document import document_from
from hierflow.plan.selection import ALL_PROMPTS, PromptSelection
from hierflow.store.sealed import read_arrays, read_json, write_arrays, write_json
from hierflow.store.storage import DamagedFileError, Storage
from hierflow.tree.embedding_tree import EmbeddingTree
from hierflow.tree.planted import Clustering, Growth, PlantedTree

_POINTER = "current.json"


class LostPlanError(DamagedFileError):
    """What is current cannot be told, or not read.

    Attributes:
        reason: which file it is, and what is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the current plan is lost ({reason}); run the set again: it goes on from the newest plan that is intact"
        )


class Pointer(NamedTuple):
    """What is current.

    Attributes:
        plan: id of the plan.
        request: the invocation (run of the set's job, command, call) that last asked for it.
        selection: the prompts that the request makes.
    """

    plan: str
    request: str
    selection: PromptSelection = ALL_PROMPTS


class PlanBook:
    """The trees, plans and the pointer of one image set."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def save(self, compiled: CompiledPlan) -> None:
        """Store tree and plan, over what is damaged; the pointer stays where it is."""
        planted = compiled.planted
        if not self._intact(read_arrays, _tree_path(planted.id)):
            arrays = {
                "merges": planted.tree.merges,
                "heights": planted.tree.heights,
                "generations": planted.generations,
                "labels": planted.labels,
            }
            meta = {
                "texts": list(planted.texts),
                "encoder": planted.encoder,
                "clustering": list(planted.clustering),
                "linkage": planted.tree.linkage,
            }
            write_arrays(self._storage, _tree_path(planted.id), arrays, meta)
        path = _plan_path(compiled.document.id)
        if not self._intact(read_json, path):
            write_json(self._storage, path, asdict(compiled.document))

    def point_to(self, plan: str, request: str = "", selection: PromptSelection = ALL_PROMPTS) -> None:
        """Make `plan`, which must be stored, the current one, because `request` asked for it.

        The request makes the prompts of `selection`.

        A damaged pointer that this replaces is put aside.
        """
        try:
            self.pointer()
        except LostPlanError:
            self._storage.put_aside(_POINTER)
        write_json(self._storage, _POINTER, {"plan": plan, "request": request, "selection": asdict(selection)})

    def pointer(self) -> Pointer | None:
        """Which plan is current, and who asked for it; None if the set has no plan yet.

        Raises:
            LostPlanError: the pointer is not intact.
        """
        try:
            stored = read_json(self._storage, _POINTER)
        except FileNotFoundError:
            return None
        except DamagedFileError as error:
            raise LostPlanError(str(error)) from error
        selection = PromptSelection.from_json(stored["selection"]) if "selection" in stored else ALL_PROMPTS
        return Pointer(stored["plan"], stored.get("request", ""), selection)

    def current(self) -> CompiledPlan | None:
        """The current plan; None if the set has none yet.

        Raises:
            LostPlanError: pointer, plan or tree is not intact, or what the pointer names is gone.
        """
        pointer = self.pointer()
        if pointer is None:
            return None
        try:
            return self.load(pointer.plan)
        except FileNotFoundError as error:
            raise LostPlanError(f"{self._storage.url(_plan_path(pointer.plan))}, or its tree, is gone") from error
        except DamagedFileError as error:
            raise LostPlanError(str(error)) from error

    def load(self, plan: str) -> CompiledPlan:
        """The stored plan of that id.

        Raises:
            FileNotFoundError: it is not stored.
            DamagedFileError: it is, but not intact.
        """
        document = document_from(read_json(self._storage, _plan_path(plan)))
        arrays, meta = read_arrays(self._storage, _tree_path(document.tree))
        tree = EmbeddingTree(arrays["merges"], arrays["heights"], meta["linkage"])
        growth = Growth(arrays["generations"], arrays["labels"]) if arrays["generations"].any() else None
        clustering = Clustering(*meta["clustering"])
        planted = PlantedTree(tree, tuple(meta["texts"]), meta["encoder"], growth, clustering)
        return CompiledPlan(document, planted)

    def _intact(self, read: Callable[[Storage, str], object], path: str) -> bool:
        try:
            read(self._storage, path)
        except (FileNotFoundError, DamagedFileError):
            return False
        return True


def _tree_path(tree: str) -> str:
    return f"trees/{tree}.safetensors"


def _plan_path(plan: str) -> str:
    return f"plans/{plan}.json"
