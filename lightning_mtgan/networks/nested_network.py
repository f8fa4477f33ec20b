"""Enhance, then recognise: two networks in one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lightning_mtgan.errors import UserError
from lightning_mtgan.networks.image_encoder import ImageEncoder
from lightning_mtgan.networks.joint_network import JointNetwork
from lightning_mtgan.networks.nested import Nested
from lightning_mtgan.networks.structured_trunk import StructuredTrunk
from lightning_mtgan.networks.translator import Translator
from lightning_mtgan.networks.trunks import Trunk
from lightning_mtgan.types import DataSpec


class NestedNetwork(JointNetwork):
    """An enhancer, and a recogniser that reads the enhanced image and nothing else, after Sharma et al. 2018.

    "Classification-driven dynamic image enhancement" (arXiv:1710.07558), where a classifier's loss teaches a network
    that enhances. The recogniser reads the image as it is, not confined to [-1, 1], so that its gradient
    reaches every pixel; the error of the restoration keeps the image there.

    Args:
        spec: Size and channels of the images.
        condition_dim: Length of the condition vector, what to restore.
        enhancer: From the spec, the length of the condition and None, for an encoder of its own, to the network that
            restores.
        recogniser: From the spec to the network that recognises.
        passes_gradient: Whether the tasks teach the enhancer, too; otherwise it learns to restore alone.

    Raises:
        UserError: If the recogniser has branches: its heads would read all of them.
    """

    def __init__(
        self,
        spec: DataSpec,
        condition_dim: int,
        enhancer: Callable[[DataSpec, int, ImageEncoder | None], Translator],
        recogniser: Callable[[DataSpec], Trunk],
        passes_gradient: bool = True,
    ) -> None:
        trunk = recogniser(spec)
        if isinstance(trunk, StructuredTrunk):
            raise UserError(
                "model.game.network.recogniser is StructuredTrunk, whose branches NestedNetwork does not part; use "
                "lightning_mtgan.networks.ConvTrunk, or share by a structure in ParallelNetwork"
            )
        super().__init__(trunk.num_features)
        self.nested = Nested(enhancer(spec, condition_dim, None), trunk, passes_gradient)

    @property
    def has_pivot(self) -> bool:
        """See JointNetwork."""
        return self.nested.passes_gradient

    @property
    def margin(self) -> int | None:
        """The enhancer's."""
        return self.nested.first.margin  # type: ignore[return-value]

    def forward(
        self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See JointNetwork."""
        return self.nested(image, known, condition, base)

    def enhance(self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None) -> Tensor:
        """See JointNetwork."""
        return self.nested.first(image, known, condition, base)
