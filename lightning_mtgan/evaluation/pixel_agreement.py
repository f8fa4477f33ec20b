"""How well images of the same latents correspond in two domains, pixel by pixel."""

from __future__ import annotations

from torch import Tensor


def pixel_agreement(one: Tensor, other: Tensor) -> Tensor:
    """The share of pixels that are both bright or both dark, of each pair, float64 (N,).

    The pixel agreement ratio of Liu and Tuzel 2016 (CoGAN, arXiv:1606.07536), section 4: images of one domain, brought
    to the other by the transformation that tells them apart, beside those that the other generator makes of the
    same latents. 0.5 would be chance for pixels that are bright half of the time; print that of unrelated pairs beside.

    Args:
        one: Images uint8 (N, C, H, W), already transformed; bright is 128 and more, that is more than half.
        other: Images of the same shape.
    """
    return ((one >= 128) == (other >= 128)).flatten(1).double().mean(1)
