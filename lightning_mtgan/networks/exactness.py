"""Which layers a training that resumes exactly, on any number of ranks, cannot have."""

from __future__ import annotations

from torch import nn

from lightning_mtgan.errors import UserError


def refuse_inexact_layers(network: nn.Module, world_size: int) -> None:
    """Refuse layers whose result would depend on history or on the number of ranks.

    Raises:
        UserError: With the name of the layer and what to use instead.
    """
    for name, layer in network.named_modules():
        kind = type(layer).__name__
        if isinstance(layer, nn.SyncBatchNorm) or (
            world_size > 1 and isinstance(layer, nn.modules.batchnorm._BatchNorm)
        ):
            raise UserError(
                f"model.{name} is a {kind}, whose statistics are those of one rank or cannot be differentiated "
                "twice; use lightning_mtgan.networks.GlobalBatchNorm"
            )
        if isinstance(layer, nn.modules.dropout._DropoutNd | nn.RReLU) and getattr(layer, "p", 1.0) > 0:
            raise UserError(
                f"model.{name} is a {kind}, which draws from torch's global state: a resumed run, or one on other "
                "ranks, would differ; take noise from batch['draws'], or set its probability to 0"
            )
