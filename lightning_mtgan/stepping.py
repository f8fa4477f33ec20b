"""One player's step: gradients averaged over ranks, clipped, and left out where they are not finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_mtgan.distributed import FlatGradients
from lightning_mtgan.games import Phase

BAD, STOP = range(2)
"""What travels behind the gradients: 0 unless a rank's losses or gradients are not finite, and whether it
was asked to stop."""


class Mover:
    """Moves one player by its optimizer.

    Args:
        parameters: The player's parameters, on their final device.
        optimizer: Its optimizer.
        max_norm: Global norm that the averaged gradient may not exceed (Pascanu et al. 2013,
            arXiv:1211.5063); None leaves it as it is.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], optimizer: Optimizer, max_norm: float | None = None) -> None:
        self.gradients = FlatGradients(parameters, num_notes=2)
        self.optimizer, self.max_norm = optimizer, max_norm
        self._norm: Tensor | None = None
        self._has_stepped = False

    def settle(self) -> None:
        """Keep the optimizer's counters where its parameters are, so that a step can be taken back unasked.

        And what belongs to a parameter in that one's layout, which may be another than that of a checkpoint:
        fused kernels read memory as it lies.
        """
        device = self.gradients.notes.device
        for group in self.optimizer.param_groups:
            if "capturable" in group and not group.get("fused"):
                group["capturable"] = device.type == "cuda"
                for parameter in group["params"]:
                    state = self.optimizer.state.get(parameter, {})
                    if "step" in state:
                        state["step"] = state["step"].to(device)
        for parameter, state in self.optimizer.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The player's parameters."""
        return self.gradients.parameters

    def state(self, player: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that the optimizer keeps, by the player's name of its parameter."""
        names = {id(parameter): name for name, parameter in player.named_parameters()}
        for parameter, kept in self.optimizer.state.items():
            for key, value in kept.items():
                if isinstance(value, Tensor):
                    yield f"{names[id(parameter)]}.{key}", value

    def norm(self) -> Tensor:
        """The norm of the last averaged gradient, before it was clipped; a scalar."""
        return self._norm if self._norm is not None else self.gradients.norm()

    def begin(self) -> None:
        """Forget the gradients of the last turn."""
        self.gradients.zero()

    def finish(self, losses: Tensor, asked_to_stop: bool, parts: int) -> tuple[Tensor, Tensor]:
        """Average, clip, and step, unless some rank's losses or gradients are not finite.

        Nothing here waits for the device: the optimizer is told on the device to leave the step out.

        Args:
            losses: This rank's losses, (K,).
            asked_to_stop: Whether this rank was asked to stop.
            parts: Backward passes that have added to the gradients.

        Returns:
            A scalar that is 0 if all of this rank's numbers were finite; and what all ranks know now,
            (2,): ``BAD`` is 0 unless the step was left out, ``STOP`` counts the ranks that were asked to
            stop.
        """
        notes = self.gradients.notes
        bad = (self.gradients.sum() + losses.sum()) * 0  # 0, or no number
        notes[BAD] = bad
        if asked_to_stop:
            notes[STOP] = 1
        self.gradients.average(parts)
        if self.max_norm is not None:
            self._norm = nn.utils.clip_grad_norm_(self.parameters, self.max_norm)
        leave_out = notes[BAD] != 0
        if self._has_stepped:
            step_unless(self.optimizer, leave_out)
        elif not leave_out:  # the first step makes the optimizer's state; it may wait for the device
            self.optimizer.step()
            self._has_stepped = True
        return bad, notes


def correct_for_lazy_phases(optimizer: Optimizer, phases: Sequence[Phase]) -> None:
    """Let a player with lazy phases move as if it had none, Karras et al. 2020 (arXiv:1912.04958), appendix B.

    With c steps of its own phases for each step of any, the learning rate becomes c lr and each beta
    becomes beta^c; with one lazy phase at every k-th batch c is k / (k + 1).

    Args:
        optimizer: The player's new optimizer.
        phases: The player's phases.
    """
    own = sum(1 / phase.every for phase in phases if not phase.is_lazy)
    share = own / sum(1 / phase.every for phase in phases) if phases else 1.0
    if share == 1:
        return
    for group in optimizer.param_groups:
        group["lr"] *= share
        group["lazy_share"] = share
        if "betas" in group:
            group["betas"] = tuple(beta**share for beta in group["betas"])


def step_unless(optimizer: Optimizer, bad: Tensor) -> None:
    """Step, or leave parameters and state as they are where ``bad`` is true, without asking the device.

    Args:
        optimizer: Any optimizer that keeps its state in tensors, after its first step.
        bad: A bool scalar on the device of the parameters.
    """
    if getattr(optimizer, "_step_supports_amp_scaling", False):  # fused kernels know how: GradScaler asks them so
        optimizer.grad_scale, optimizer.found_inf = None, bad.float()  # type: ignore[attr-defined]
        optimizer.step()
        del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]
        return
    before = [(tensor, tensor.clone()) for tensor in _tensors(optimizer)]
    optimizer.step()
    for tensor, old in before:
        tensor.copy_(torch.where(bad.to(tensor.device), old, tensor))


def _tensors(optimizer: Optimizer) -> list[Tensor]:
    """Everything that a step changes."""
    parameters = [parameter.data for group in optimizer.param_groups for parameter in group["params"]]
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return parameters + states
