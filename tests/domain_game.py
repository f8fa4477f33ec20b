"""The smallest Game of several domains: a generator and a discriminator for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lightning_mtgan.games import Game, Phase
from lightning_mtgan.networks import ConvGenerator, ConvTrunk
from lightning_mtgan.types import Batch, DataSpec, Terms


class TwoByTwo(Game):
    """Plays the same latents in every domain, whose batches may differ in size."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        torch.manual_seed(0)
        known = spec.domains
        self.players["discriminator"] = nn.ModuleDict(
            {name: nn.Sequential(ConvTrunk(one, 8, 16), nn.Linear(16, 1)) for name, one in known.items()}
        )
        self.players["generator"] = nn.ModuleDict({name: ConvGenerator(one, 0, 8, 8) for name, one in known.items()})

    def phases(self) -> Sequence[Phase]:
        return [
            Phase("discriminator", "discriminator", self.discriminator_losses),
            Phase("generator", "generator", self.generator_losses),
        ]

    def sampling_modules(self) -> Sequence[nn.Module]:
        return [self.players["generator"]]

    def _fake(self, batch: Batch, name: str) -> Tensor:
        count = len(batch["domains"][name]["image"])
        latent = batch["draws"].normal(name, count, 8)
        return self.players["generator"][name](latent, latent[:, :0])  # type: ignore[index]

    def _judge(self, name: str, image: Tensor) -> Tensor:
        return self.players["discriminator"][name](image)  # type: ignore[index]

    def discriminator_losses(self, batch: Batch) -> Terms:
        losses = {}
        for name, domain in batch["domains"].items():
            fake = self._fake(batch, name).detach()
            real = softplus(-self._judge(name, domain["image"])).mean()
            losses[f"adversarial_{name}"] = real + softplus(self._judge(name, fake)).mean()
        return Terms(losses)

    def generator_losses(self, batch: Batch) -> Terms:
        losses = {}
        for name in batch["domains"]:
            losses[f"adversarial_{name}"] = softplus(-self._judge(name, self._fake(batch, name))).mean()
        return Terms(losses)

    @property
    def obeys(self) -> bool:
        return False

    def sample(
        self, num_images: int, condition: Mapping[str, Tensor] | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        name = next(iter(self.spec.domains))
        latent = torch.randn(num_images, 8, generator=generator).to(next(self.parameters()))
        return self.players["generator"][name](latent, latent[:, :0])  # type: ignore[index]
