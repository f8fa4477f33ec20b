"""Pictures of what a Game makes in each of its domains."""

from __future__ import annotations

import torch
from PIL import Image

from lightning_mtgan.draws import seed_of
from lightning_mtgan.games import DomainGame
from lightning_mtgan.pictures import alike, sheet
from lightning_mtgan.types import TaskKind


def domain_sheet(game: DomainGame, num_columns: int) -> Image.Image:
    """A contact sheet: one latent in each column, one domain in each row, its name to the left.

    Column c asks each classification task for class c. Latents are the same at every call.

    Args:
        game: The Game, in evaluation mode.
        num_columns: Images in a row.
    """
    columns = torch.arange(num_columns, device=game.device)
    asked = {task.name: columns % task.size for task in game.all_tasks if task.kind is TaskKind.CLASSIFICATION}
    rows = []
    for name in game.domains:
        generator = torch.Generator(game.device).manual_seed(seed_of("samples"))
        wanted = game.draw_conditions(num_columns, generator, asked)
        rows.append(game.sample_domain(name, num_columns, wanted, generator))
    return sheet(alike(rows), num_columns, game.domains)
