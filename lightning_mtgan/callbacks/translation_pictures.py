"""Pictures of what a Game that translates makes of images of each of its domains."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from lightning_mtgan.games import TranslationGame
from lightning_mtgan.pictures import alike, sheet


def translation_sheet(game: TranslationGame, images: Mapping[str, Tensor]) -> Image.Image:
    """A contact sheet: one domain in each row, its name to the left; each image and its translation into every domain.

    Domains follow each other in the order of the rows; the one into its own domain is a reconstruction.

    Args:
        game: The Game, in evaluation mode.
        images: Some of each domain, uint8 (n, C, H, W); as many are shown as there are of all.
    """
    kinds: list[Tensor] = []
    count = min(len(some) for some in images.values())
    with torch.no_grad():
        for source in game.domains:
            given = images[source][:count].to(game.device, game.dtype) / 127.5 - 1
            kinds += [given, *(game.translate(given, source, target) for target in game.domains)]
    num_kinds = 1 + len(game.domains)
    cells = alike(kinds).unflatten(0, (len(game.domains), num_kinds, -1)).transpose(1, 2).flatten(0, 2)
    return sheet(cells, num_kinds * count, game.domains)
