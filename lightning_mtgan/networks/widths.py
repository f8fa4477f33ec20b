"""How many channels a network has at each resolution."""

from __future__ import annotations

from lightning_mtgan.errors import UserError

SMALLEST = 4
"""Height and width of the smallest feature map, in pixels."""


def widths(image_size: int, width: int, maximum: int = 512) -> list[int]:
    """Channels from the full resolution down to 4 x 4: doubled at each halving, up to ``maximum``.

    Args:
        image_size: Height and width of the images, in pixels: 4, 8, 16, 32 ...
        width: Channels at full resolution.
        maximum: Upper limit of the channels.

    Raises:
        UserError: If the size is not 4 times a power of two.
    """
    steps = (image_size // SMALLEST).bit_length() - 1
    if image_size < SMALLEST or SMALLEST << steps != image_size:
        raise UserError(
            f"image_size is {image_size}, but these networks need 4, 8, 16, 32, 64 ... pixels; resize the images"
        )
    return [min(width << level, maximum) for level in range(steps + 1)]
