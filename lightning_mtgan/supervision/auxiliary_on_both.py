"""Auxiliary heads as in the paper that introduced them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_mtgan.supervision.auxiliary import AuxiliaryHeads


class AuxiliaryHeadsOnBoth(AuxiliaryHeads):
    """A head for each task that learns on real and on generated images, Odena et al. 2017 (AC-GAN, arXiv:1610.09585).

    It learns of a fake that it shows what it was asked to show, which is wrong while the generator
    is bad; both players pull these heads the same way.

    Args:
        tasks: The tasks that need a head, by name.
        num_features: Length F of the trunk's features.
    """

    def discriminator_losses(
        self, real: Tensor, fake: Tensor, targets: Mapping[str, Tensor], conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """l_i(h_i(f(x)), y_i) + l_i(h_i(f(G(z, y))), y_i) for each task i: -L_C of equation 3."""
        return {
            name: self.tasks[name].loss(head(real), targets[name]) + self.tasks[name].loss(head(fake), conditions[name])
            for name, head in self.heads.items()
        }
