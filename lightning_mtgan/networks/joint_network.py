"""Networks that enhance an image and recognise what it shows."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class JointNetwork(nn.Module, ABC):
    """Brings back damaged images, and yields the features from which the heads of the tasks recognise what they show.

    What is known of an image stays as it is, bit by bit.

    Args:
        num_features: Length F of the features.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    @property
    def has_pivot(self) -> bool:
        """Whether all losses but penalties reach the network through the restored image, so that they meet there."""
        return False

    @property
    def margin(self) -> int | None:
        """Pixels to each side of one that its restored value depends on; None where that may be the whole image."""
        return None

    def penalties(self) -> dict[str, Tensor]:
        """What the network asks of its own parameters, scalars by name; most ask nothing."""
        return {}

    @abstractmethod
    def forward(
        self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Damaged images restored, and their features.

        Args:
            image: What is left of them, (N, C, H, W) in [-1, 1], of the data's size.
            known: 1 where a pixel is that of the truth, 0 where it must be restored, (N, 1, H, W).
            condition: What to restore, (N, condition_dim).
            base: ``filled`` images, where they are parts of larger ones that were filled as a whole; None to fill them.

        Returns:
            (N, C, H, W), around [-1, 1]: no function bounds it, so that a loss has a gradient everywhere; and (N, F).
        """

    @abstractmethod
    def enhance(self, image: Tensor, known: Tensor, condition: Tensor, base: Tensor | None = None) -> Tensor:
        """The restored images alone, (N, C, H, W), of any H and W; arguments are those of ``forward``."""
