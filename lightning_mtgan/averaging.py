"""The moving average of the parameters that sampling reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from lightning_mtgan.games import Game
from lightning_mtgan.networks import GlobalNormalization


class ParameterAverage:
    """An exponential moving average of what ``Game.sample`` reads, and of nothing else.

    Parameters are averaged, and with them the running statistics of batch normalisation, which belong to
    them; other buffers are copied (Karras et al. 2019). The average of the first
    updates is short, so that it forgets the initial values: half-life min(half_life, rampup * seen).

    Args:
        game: The Game whose sampling modules are averaged.
        half_life: Images after which an old value counts half.
        rampup: Share of the images seen so far that the half-life may not exceed.
    """

    def __init__(self, game: Game, half_life: float, rampup: float) -> None:
        self.half_life = half_life
        self.rampup = rampup
        chosen = {id(tensor) for module in game.sampling_modules() for tensor in module.parameters()}
        copied = {id(tensor) for module in game.sampling_modules() for tensor in module.buffers()}
        kept = game.state_dict().keys()  # constants, such as filters, are no part of a state
        self._live = {name: p for name, p in game.named_parameters() if id(p) in chosen}
        self._live_buffers = {name: b for name, b in game.named_buffers() if id(b) in copied and name in kept}
        self._average = {name: p.detach().clone() for name, p in self._live.items()}
        statistics = {
            id(buffer)
            for module in game.modules()
            if isinstance(module, GlobalNormalization)
            for buffer in module.buffers(recurse=False)
        }
        self._is_statistic = {name: id(b) in statistics for name, b in self._live_buffers.items()}
        self._average_buffers = {name: b.detach().clone() for name, b in self._live_buffers.items()}

    @torch.no_grad()
    def update(self, num_new: int, num_seen: int) -> None:
        """Move the average towards the present values.

        Args:
            num_new: Images of this step.
            num_seen: Images of all steps up to and with this one.
        """
        half_life = min(self.half_life, self.rampup * num_seen)
        keep = 0.5 ** (num_new / half_life) if half_life > 0 else 0.0
        torch._foreach_lerp_(list(self._average.values()), list(self._live.values()), 1 - keep)
        for name, buffer in self._live_buffers.items():
            if self._is_statistic[name]:
                self._average_buffers[name].lerp_(buffer, 1 - keep)
            else:
                self._average_buffers[name].copy_(buffer)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The average in the place of the present values, which come back afterwards."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._live.items():
            parameter.data, self._average[name] = self._average[name], parameter.data
        for name, buffer in self._live_buffers.items():
            buffer.data, self._average_buffers[name] = self._average_buffers[name], buffer.data

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged tensors by their names in the Game."""
        return {**self._average, **self._average_buffers}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take the averaged tensors from a checkpoint."""
        for name, tensor in (self._average | self._average_buffers).items():
            tensor.copy_(state[name])
