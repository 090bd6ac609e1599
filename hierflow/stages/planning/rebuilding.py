"""The prompts of one partition clustered anew, below the states it starts from.

What comes out as it was stays where it is: a new path goes along with the tree as far as the tree has its states, and
leaves it there. So no state is planned twice, whoever else has grafts on it, and where nothing would be better
nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hierflow.errors import InputError
from hierflow.plan.compiled import CompiledPlan, encoder_of, lanes_of
from hierflow.plan.grafting import never_shared, subtree
from hierflow.plan.identity import conditioning_id, next_state_id
from hierflow.plan.segments import compile_plan
from hierflow.stages.context import Stage
from hierflow.stages.embedding.embeddings import Embeddings
from hierflow.stages.planning.growing import with_grafts
from hierflow.stages.planning.layout import Layout
from hierflow.tree import EmbeddingTree
from hierflow.tree.planted import Graft

Place = tuple[int, int]
"""A node of the tree that is there, and a step; (-1, 0) is noise."""


def rebuilt(stage: Stage, embeddings: Embeddings, before: CompiledPlan, key: str) -> Layout:
    """The tree of `before` with the prompts of one partition clustered anew, below the states it starts from.

    Raises:
        InputError: there is no such partition.
    """
    if key not in before.document.keys:
        raise _no_partition(before, key)
    places, ids = _places(before), before.lanes[0].ids  # of any lane: whose noise it is does not matter here
    row_of = {text: row for row, text in enumerate(embeddings.hashes)}
    grafts: list[Graft] = []
    for parent, texts in _starts(before, key).items():
        vectors = embeddings.vectors[[row_of[text] for text in texts]]
        own = EmbeddingTree.from_embeddings(vectors, before.planted.tree.linkage)
        start = ids.end(parent) if parent >= 0 else ids.root
        grafts += _departures(before, places, own, texts, start)
    return with_grafts(stage, embeddings, before, grafts, into=key)


def not_by_itself(before: CompiledPlan | None, key: str) -> InputError:
    """Why no partition can be clustered anew where the whole tree is.

    Args:
        before: the plan before; None if there is none.
        key: the partition that was asked for.
    """
    if before is None or key not in before.document.keys:
        return _no_partition(before, key)
    return InputError(
        "cannot be rebuilt by itself, as the whole tree is founded anew",
        field="--rebuild",
        value=key,
        remedy="leave it out, or name no partition",
    )


def _no_partition(before: CompiledPlan | None, key: str) -> InputError:
    keys = f"one of {', '.join(before.document.keys)}, or none to rebuild the whole set" if before else "none"
    return InputError("is not a partition of the set", field="--rebuild", value=key, remedy=f"name {keys}")


def _starts(before: CompiledPlan, key: str) -> dict[int, list[str]]:
    """The segments outside of the partition that its own ones start from, and its prompts under each, ascending."""
    plan, own, texts = before.plan, set(before.segments_of(key).tolist()), set(before.texts_of(key))
    found: dict[int, set[str]] = {}
    for segment in sorted(own):
        if int(plan.parent[segment]) not in own:
            served = {before.planted.texts[leaf] for leaf in plan.served(segment)}
            found.setdefault(int(plan.parent[segment]), set()).update(served & texts)
    return {parent: sorted(texts) for parent, texts in found.items() if texts}  # others' grafts may be all there is


def _places(before: CompiledPlan) -> dict[str, Place]:
    """Where the tree has each state, retired prompts' included."""
    planted, document = before.planted, before.document
    plan = compile_plan(planted.tree, document.tau, document.evaluations_a_step, planted.standing)
    ids = lanes_of(plan, planted, document)[0].ids
    places: dict[str, Place] = {ids.root: (-1, 0)}
    for segment, node in enumerate(plan.nodes):
        for step in range(int(plan.first[segment]), int(plan.last[segment]) + 1):
            places[ids.at(segment, step)] = int(node), step
    return places


def _departures(
    before: CompiledPlan, places: Mapping[str, Place], own: EmbeddingTree, texts: Sequence[str], start: str
) -> Iterator[Graft]:
    """The grafts that bring the prompts of the tree `own` from the state `start` onto their own clusters' paths."""
    plan, encoder = (
        compile_plan(own, before.document.tau, before.document.evaluations_a_step),
        encoder_of(before.planted.encoder, before.lanes[0].variant.negative_prompt),
    )
    threshold, shared = plan.threshold, places[start][1]
    reached: dict[int, str] = {}  # by segment, its last state; none where it has left the tree
    for segment, parent in enumerate(plan.parent):
        if parent >= 0 and parent not in reached:
            continue
        state, node = reached[parent] if parent >= 0 else start, int(plan.nodes[segment])
        conditioning = conditioning_id(encoder, [texts[leaf] for leaf in own.members(node)])
        for step in range(max(int(plan.first[segment]), shared + 1), int(plan.last[segment]) + 1):
            following = next_state_id(state, conditioning, step)
            if following not in places:
                tree, leaves = subtree(own, node)
                host, last = places[state]
                height = float(threshold[last - 1]) if last else never_shared(plan.tau, before.planted.tree, own)
                yield Graft(host, height, tree, tuple(texts[leaf] for leaf in leaves))
                break
            state = following
        else:
            reached[segment] = state
