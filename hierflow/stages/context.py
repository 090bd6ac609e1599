"""What every stage needs to know."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hierflow.errors import InputError
from hierflow.hashing import digest
from hierflow.mini import YES_NO_JUDGE
from hierflow.models.adapter import Adapter
from hierflow.models.embedder import Embedder
from hierflow.progress import OpenProgress, Silent
from hierflow.scoring.choice import Scorers
from hierflow.spec import ImageSetSpec
from hierflow.store import SetStore
from hierflow.store.ledger import Entry, OpenEntry

log = logging.getLogger("hierflow")


@dataclass(frozen=True)
class Stage:
    """One run's view of an image set.

    Attributes:
        spec: the document.
        base: the folder that relative paths of the document are relative to.
        document: the document's file, None where the set was described in Python.
        run: the id of this run, unique.
        invocation: the id of the command, job or call that this run is part of.
        progress: how long work is reported.
        say: where a sentence for the user goes.
        began: when the run was asked for, in seconds since the epoch.
    """

    spec: ImageSetSpec
    base: Path
    document: Path | None
    run: str
    invocation: str
    progress: OpenProgress = Silent
    say: Callable[[str], object] = log.info
    began: float = field(default_factory=time.time)

    @cached_property
    def store(self) -> SetStore:
        """The set's store."""
        return SetStore(storage_url(self.spec, self.base), self.spec.name, self.document, self.spec.storage.options)

    @cached_property
    def adapter(self) -> Adapter:
        """The model, loaded piece by piece as it is needed."""
        from hierflow.models.registry import open_model

        return open_model(self.spec.diffusion, self.base)

    @cached_property
    def scorers(self) -> Scorers:
        """What gives the set's images their scores."""
        judge = YES_NO_JUDGE if self.spec.diffusion.model == "mini" else None
        return Scorers(self.spec.scoring, self.adapter, self.base, judge)

    @cached_property
    def embedder(self) -> Embedder | None:
        """What embeds the prompts that the tree clusters; None where it clusters by their conditioning."""
        from hierflow.models.embedder import open_embedder

        return open_embedder(self.spec.embedding, self.base, self.adapter)

    @cached_property
    def pace(self) -> str:
        """Names what the time of an evaluation depends on: network, size, precision, batches and device."""
        runtime, sampling = self.adapter.runtime, self.adapter.identity
        where = self._machine["gpu"] or [self._machine["cpu"], self._machine["threads"]]
        rows = [self.adapter.rows_per_evaluation, runtime.largest_batch, runtime.fixed_batch is not None]
        size = [sampling.height, sampling.width]
        offload = runtime.acceleration.offload
        further = [] if offload == "parts" else [offload]
        return digest("hierflow pace 1", sampling.denoiser, size, sampling.dtype, rows, where, *further)[:16]

    def open_entry(self, stage: str, **fields: Any) -> OpenEntry:
        """A ledger entry of this run; `fields` are further fields of :class:`Entry`."""
        entry = Entry(
            run=self.run,
            invocation=self.invocation,
            stage=stage,
            started=time.time(),
            machine=self._machine,
            device=self.adapter.runtime.device,
            paid=(),
            **fields,
        )
        return self.store.ledger.open(entry, f"{_file_safe(self.run)}.{_file_safe(entry.partition or stage)}")

    @cached_property
    def _machine(self) -> dict[str, Any]:
        from hierflow.models.runtime import machine

        return machine(self.adapter.runtime.device)


class Stopwatch:
    """Wall seconds by what they go on.

    Args:
        on: what they go on at first.
    """

    def __init__(self, on: str) -> None:
        self.seconds: dict[str, float] = {}
        self._on = on
        self.restart()

    def restart(self) -> None:
        """Forget the time that goes on the present thing: another stopwatch has booked it."""
        self._since = time.perf_counter()

    def go_on(self, on: str) -> None:
        """From now on the time goes on `on`."""
        self._book()
        self._on = on

    def rounded(self) -> Mapping[str, float]:
        """The seconds so far, to the millisecond."""
        self._book()
        return {name: round(seconds, 3) for name, seconds in self.seconds.items()}

    def _book(self) -> None:
        now = time.perf_counter()
        self.seconds[self._on] = self.seconds.get(self._on, 0.0) + now - self._since
        self._since = now


def storage_url(spec: ImageSetSpec, base: Path) -> str:
    """`storage.path`, absolute: relative paths are relative to the document.

    Raises:
        InputError: no file system could hold such a path.
    """
    path = spec.storage.path
    if "://" in path:
        return path
    try:
        folder = (base / Path(path).expanduser()).resolve()
        folder.exists()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL in it, the home of nobody
        raise InputError(
            f"is not a path ({error})"[:200],
            field="storage.path",
            value=path,
            remedy="give a folder that can be written to",
        ) from error
    return str(folder)


def _file_safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:80]
