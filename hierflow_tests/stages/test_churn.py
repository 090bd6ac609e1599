"""A set over many days: whatever is edited, every image is what its recorded path says, and no other one changes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hierflow.denoise.noise import INITIAL, generator
from hierflow.hashing import text_hash
from hierflow_tests.models.literal import Literal
from hierflow_tests.oracles.algorithm1 import Members
from hierflow_tests.oracles.along_path import along_path
from hierflow_tests.stages.runs import Run, carry_out, spec_of

POOL = [
    "a red mug",
    "a blue mug",
    "a red chair",
    "two green cats",
    "xyz 99",
    "zebra",
    "a red cup",
    "a red mug on grass",
]
STEPS = 4


@dataclass(frozen=True)
class Day:
    """What a user does before a run: which prompts there are, in which order, and what else is asked for.

    Attributes:
        prompts: indices into the pool.
        tau: the document's.
        checkpoint_every: the document's.
        rebuild: a partition to rebuild, by its place in the plan before; none if there are fewer.
    """

    prompts: list[int]
    tau: float = 1.0
    checkpoint_every: int = 0
    rebuild: int = 9


PROMPTS = st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=5, unique=True)
DAYS = st.lists(
    st.builds(
        Day,
        PROMPTS,
        tau=st.sampled_from([1.0, 1.0, 1.0, 1.0, 0.6]),
        checkpoint_every=st.sampled_from([0, 0, 2]),
        rebuild=st.sampled_from([9, 9, 9, 0, 1, 2]),
    ),
    min_size=4,
    max_size=5,
)


@dataclass
class Diary:
    """What is known of the images so far.

    Attributes:
        images: the image of every prompt there has been on the present tree.
        made_from: what each of the tree's node labels stands for.
        ran: every run of the present tree.
    """

    images: dict[str, bytes] = field(default_factory=dict)
    made_from: dict[int, list[str]] = field(default_factory=dict)
    previous: Run | None = None

    def turn_the_page(self, run: Run, rebuilt: frozenset[str]) -> None:
        """Check a run against what was there; the images of the prompts `rebuilt` may be other ones."""
        planted, before = run.compiled.planted, self.previous
        kept = before is not None and before.compiled.document.tau == run.compiled.document.tau
        if before is None or not kept or (planted.growth is None and before.compiled.planted.id != planted.id):
            self.images, self.made_from = {}, {}  # a tree of its own
        for node, label in enumerate(planted.labels.tolist()):
            assert self.made_from.setdefault(label, planted.founders(node)) == planted.founders(node)
        found = {row.prompt: run.stage.store.files.read(row.image_path) for row in run.assembled.rows}
        same = found.keys() & self.images.keys() - rebuilt
        assert {prompt: found[prompt] for prompt in same} == {prompt: self.images[prompt] for prompt in same}
        self.images, self.previous = self.images | found, run


def live(folder: Path, storage: Path, days: list[Day], *, max_prompts: int, linkage: str) -> None:
    """Go through `days`, checking every run."""
    diary, literal = Diary(), Literal(folder, "ddpm", STEPS, 4.0)
    for day in days:
        spec = spec_of(
            folder,
            prompts=[POOL[prompt] for prompt in day.prompts],
            storage=storage,
            sharing={"tau": day.tau, "checkpoint_every": day.checkpoint_every, "linkage": linkage},
            max_prompts=max_prompts,
            steps=STEPS,
        )
        run = carry_out(spec)
        assert_sound(run, literal)
        diary.turn_the_page(run, frozenset())
        keys = run.compiled.document.keys
        if day.rebuild < len(keys):
            inside = run.compiled.texts_of(keys[day.rebuild])
            run = carry_out(spec, rebuild=keys[day.rebuild])
            assert_sound(run, literal)
            diary.turn_the_page(run, frozenset(prompt for prompt in POOL if text_hash(prompt) in inside))
        again = carry_out(spec)
        assert (again.ran, again.entries, again.account.books.problems) == ([], [], ())


def assert_sound(run: Run, literal: Literal) -> None:
    """The set is whole, the books balance, and images are what their recorded paths say."""
    assert run.assembled.complete
    assert run.account.books.problems == ()
    assert sum(row.evaluations for row in run.assembled.rows) == pytest.approx(run.account.books.planned)
    pixels, latents = run.pixels(), run.latents()
    for row in run.assembled.rows:
        expected = retold(run, row.node_path, literal)
        assert torch.equal(latents[row.prompt, 0], expected), row.prompt
        assert (run.stage.adapter.decode(expected)[0] == pixels[row.prompt, 0]).all(), row.prompt


def retold(run: Run, node_path: str, literal: Literal) -> torch.Tensor:
    """The final latents, from noise, by a path such as `10@1-2/14@3-4`."""
    texts, founders_of = run.compiled.planted.texts, founders_by_label(run)
    path: list[Members] = []
    for part in node_path.split("/"):
        label, steps = part.split("@")
        first, last = map(int, steps.split("-"))
        assert first == len(path) + 1
        path += [founders_of[int(label)]] * (last - first + 1)
    assert len(path) == STEPS

    def noise(members: Members, k: int) -> torch.Generator:
        return generator(run.stage.spec.diffusion.seed, 0, min(texts[leaf] for leaf in members), k)

    return along_path(
        run.conditioning(),
        path,
        lambda members: literal.initial(noise(members, INITIAL)),
        literal.predict,
        literal.scheduler,
        noise,
    )


def founders_by_label(run: Run) -> Mapping[int, Members]:
    """The leaves that the nodes of each label were made from."""
    planted = run.compiled.planted
    return {
        label: frozenset(planted.founding_members(node).tolist())
        for node, label in enumerate(planted.labels.tolist())
    }


quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
given_a_life = given(
    days=DAYS, max_prompts=st.integers(1, 4), linkage=st.sampled_from(["ward", "ward", "average", "centroid"])
)


@settings(quiet, max_examples=4)
@given_a_life
def test_every_image_is_what_its_path_says_and_no_other_one_changes(
    tiny_learned: Path, tmp_path: Path, days: list[Day], max_prompts: int, linkage: str
) -> None:
    live(tiny_learned, fresh_folder(tmp_path), days, max_prompts=max_prompts, linkage=linkage)


@pytest.mark.slow
@settings(quiet, max_examples=50)
@given_a_life
def test_so_it_is_for_many_more(
    tiny_learned: Path, tmp_path: Path, days: list[Day], max_prompts: int, linkage: str
) -> None:
    live(tiny_learned, fresh_folder(tmp_path), days, max_prompts=max_prompts, linkage=linkage)


def test_a_week_of_one_edit_a_day(tiny_learned: Path, tmp_path: Path) -> None:
    """Edits that are small, as they are in life: grafts on grafts, partitions that fill, empty and come back."""
    drawn, prompts, days = random.Random(1), [0, 1, 2, 3], list[Day]()
    for number in range(8):
        new = drawn.choice([prompt for prompt in range(len(POOL)) if prompt not in prompts])
        prompts = [*prompts[1:], new] if number % 3 else [*prompts, new][-5:]
        days.append(Day(prompts, rebuild=0 if number % 4 == 3 else 9))
    live(tiny_learned, tmp_path, days, max_prompts=3, linkage="ward")


def fresh_folder(tmp_path: Path) -> Path:
    """A folder that no earlier example has used."""
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    return folder
