"""Pictures of what a Game restores, one row for each corruption."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from lightning_mtgan.draws import seed_of
from lightning_mtgan.evaluation.restoration import damage, psnr, restore, to_bytes
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.pictures import sheet


def restored_sheet(game: ImageGame, images: Tensor) -> Image.Image:
    """A contact sheet: for each image what was left of it, what was restored and the truth, side by side.

    One row for each corruption; to its left its name and the mean gain of PSNR in dB. What is taken from the
    images is the same at every call. Holes are mid-grey, as the generator sees them.

    Args:
        game: The Game, in evaluation mode.
        images: The truth, uint8 (n, C, H, W).
    """
    truth = images.to(game.device)
    image = truth.to(game.dtype) / 127.5 - 1
    rows, captions = [], []
    with torch.no_grad():
        for name, corruption in game.corruptions.items():
            damaged = damage(corruption, image, seed_of("restored pictures"))
            restored = restore(game, damaged, [name] * len(image))
            gain = psnr(to_bytes(restored), truth) - psnr(to_bytes(damaged.image), truth)
            rows.append(torch.stack([damaged.image, restored, image], dim=1).flatten(0, 1))
            captions.append(f"{name}\n{gain.mean().item():+.1f} dB")
    return sheet(torch.cat(rows), 3 * len(images), captions)
