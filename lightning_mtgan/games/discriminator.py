"""The discriminator of a multi-task game: one trunk, many heads."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lightning_mtgan.networks import AdversarialHead, Trunk
from lightning_mtgan.self_supervision import SelfSupervision
from lightning_mtgan.supervision import Supervision


class Discriminator(nn.Module):
    """A trunk shared by an adversarial head and the heads of the tasks.

    Args:
        trunk: From images, or packs of them, to features.
        adversarial: From features and conditions to logits.
        supervision: The heads of the tasks, or None.
        packing: Images that are judged together, one behind the other in the channels, Lin et al. 2018
            (PacGAN, arXiv:1712.04086), section 3; 1 judges each by itself.
        self_supervision: Heads that learn without labels.
    """

    def __init__(
        self,
        trunk: Trunk,
        adversarial: AdversarialHead,
        supervision: Supervision | None,
        packing: int = 1,
        self_supervision: Sequence[SelfSupervision] = (),
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.adversarial = adversarial
        self.supervision = supervision
        self.packing = packing
        self.self_supervision = nn.ModuleList(self_supervision)

    def packed(self, image: Tensor) -> Tensor:
        """Neighbours in the batch as one: (N, C, H, W) to (N / packing, packing * C, H, W)."""
        return image if self.packing == 1 else image.unflatten(0, (-1, self.packing)).flatten(1, 2)

    def unpacked(self, pack: Tensor) -> Tensor:
        """The inverse of ``packed``."""
        return pack if self.packing == 1 else pack.unflatten(1, (self.packing, -1)).flatten(0, 1)
