"""The network on a whole frontier, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hierflow.models.adapter import Adapter
from hierflow.models.batches import Batches
from hierflow.models.meter import Meter

if TYPE_CHECKING:
    import torch


class BatchedPrediction:
    """Predicts in batches of one fixed, padded size where bits are promised, else in as large ones as fit.

    Kernels differ with the batch, and the last bits with them; a network that always sees one batch size gives
    every row the same bits whatever its neighbours are.

    Args:
        batches: how rows are divided.
        rows_per_evaluation: network rows that the model shows for each of them, guidance included.

    Attributes:
        meter: the hook on the network.
        batches: how rows are divided; batches shrink whenever memory runs out.
        padding_rows: network rows spent on padding and on attempts that ran out of memory, guidance included.
    """

    def __init__(self, batches: Batches, rows_per_evaluation: int) -> None:
        self.batches, self._rows_per_evaluation = batches, rows_per_evaluation
        self.padding_rows = 0
        self.meter = Meter()

    @property
    def evaluations(self) -> int:
        """Evaluations by the hook's count, padding taken off."""
        return (self.meter.rows - self.padding_rows) // self._rows_per_evaluation

    def predict(
        self, adapter: Adapter, latents: torch.Tensor, index: int, conditioning: Sequence[Mapping[str, torch.Tensor]]
    ) -> torch.Tensor:
        """The guided model output (B, ...) at timestep number `index` for latents (B, ...).

        Args:
            adapter: the model at the size of the latents.
            latents, index: as its `predict` takes them.
            conditioning: of each row, without a row axis, on any device; a batch of it at a time is on the latents'.
        """
        import torch

        def predicted(rows: list[int], live: int) -> torch.Tensor:
            seen = self.meter.rows
            try:
                rows_of = {name: [conditioning[row][name] for row in rows] for name in conditioning[0]}
                means = {name: torch.stack(own).to(latents.device) for name, own in rows_of.items()}
                output = adapter.predict(latents[rows], index, means)
            except torch.OutOfMemoryError:
                self.padding_rows += self.meter.rows - seen  # a failed attempt is no evaluation
                raise
            self.padding_rows += (len(rows) - live) * self._rows_per_evaluation
            return output[:live]

        outputs = list(self.batches.each(len(latents), predicted))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)
