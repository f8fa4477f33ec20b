"""Enhancement without pairs: a generator makes poor images like good ones, of which it never sees the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.corruptions import Corruption, Damaged, Mixture
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.game import Phase
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.games.patches import Patches
from lightning_mtgan.games.unpaired_discriminator import UnpairedDiscriminator
from lightning_mtgan.games.unpaired_parts import Unpaired, UnpairedArena, require_patches
from lightning_mtgan.games.without_latents import require_regularizers
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import ImageEncoder, PatchTrunk, Translator
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.transforms import Transform
from lightning_mtgan.types import Batch, DataSpec, Terms


class UnpairedEnhancement(ImageGame):
    """EnlightenGAN, Jiang et al. 2019 (arXiv:1906.06972): L_G = L_adv + L_adv,local + L_preserve + L_preserve,local.

    Images 0, 2, 4 ... of the global batch are damaged and enhanced; images 1, 3, 5 ... stay clean, and discriminators
    compare enhanced ones with these: no loss sees an image and its own damaged form. One discriminator judges whole
    images, another one patches. What an image shows must stay: the features of the damaged image, in which its
    brightness is free, are those of the enhanced one, there VGG's, here the discriminators' own. The weights stand in
    the Balancers, not here.

    Args:
        spec: What the data is.
        corruptions: What is done to images, each name at most once.
        generator: From the spec, the length of the condition and the encoder to use (None: one of its own) to the
            network that enhances.
        trunk: From the spec to the trunk of the discriminator of whole images.
        local_trunk: From the spec of patches to the trunk of their discriminator.
        adversarial: The adversarial loss of whole images; the paper's is RelativisticAverageLeastSquares.
        local_adversarial: The adversarial loss of patches; the paper's is LeastSquares.
        num_patches: Patches of each image in a step.
        patch_size: Their height and width in pixels, at most those of the images.
        regularizers: Penalties and regularisers of the discriminator of whole images, each at most once.
        embedding_dim: Length of the vectors that tell the generator what was done; without a use where there is one
            corruption.

    Raises:
        UserError: If a number is out of range, or two of the parts do not fit together.
    """

    def __init__(
        self,
        spec: DataSpec,
        corruptions: list[Corruption],
        generator: Callable[[DataSpec, int, ImageEncoder | None], Translator],
        trunk: Callable[[DataSpec], PatchTrunk],
        local_trunk: Callable[[DataSpec], PatchTrunk],
        adversarial: AdversarialLoss,
        local_adversarial: AdversarialLoss,
        num_patches: int = 5,
        patch_size: int = 8,
        regularizers: list[Regularizer] = [],  # noqa: B006 - never changed
        embedding_dim: int = 16,
    ) -> None:
        super().__init__(spec)
        if embedding_dim < 1:
            raise UserError(f"model.game.embedding_dim is {embedding_dim}; use 1 or more")
        require_patches(spec, num_patches, patch_size)
        require_regularizers("UnpairedEnhancement", adversarial, regularizers)
        self.mixture = Mixture(corruptions)
        self.corruptions = {one.name: one for one in corruptions}
        for one in corruptions:
            one.require_fitting(spec)
        self.adversarial, self.local_adversarial = adversarial, local_adversarial
        self.num_patches, self.patch_size = num_patches, patch_size
        self.regularizers = nn.ModuleList(regularizers)
        judges = {
            "network": UnpairedDiscriminator(trunk(spec), adversarial),
            "local": UnpairedDiscriminator(local_trunk(replace(spec, image_size=patch_size)), local_adversarial),
        }
        condition_dim = embedding_dim if len(corruptions) > 1 else 0
        own: dict[str, nn.Module] = {"network": generator(spec, condition_dim, None)}
        if condition_dim:
            own["embedding"] = nn.Embedding(len(corruptions), condition_dim)
        self.players["discriminator"] = nn.ModuleDict(judges)
        self.players["generator"] = nn.ModuleDict(own)

    @property
    def generator(self) -> Translator:
        """The generator's network."""
        return self.players["generator"]["network"]  # type: ignore[index, return-value]

    @property
    def _regularizers(self) -> list[Regularizer]:
        return list(self.regularizers)  # type: ignore[arg-type]

    def phases(self) -> Sequence[Phase]:
        """Both discriminators, the lazy regularisers, the generator."""
        losses = {"adversarial": self.adversarial, "local_adversarial": self.local_adversarial}
        below = {
            side: frozenset(name for name, loss in losses.items() if side in loss.unbounded)
            for side in ("discriminator", "generator")
        }
        return [
            Phase("discriminator", "discriminator", self.discriminator_losses, unbounded=below["discriminator"]),
            *(
                Phase(one.name, "discriminator", partial(self.lazy_losses, one), one.every, is_lazy=True)
                for one in self._regularizers
                if one.every > 1
            ),
            Phase("generator", "generator", self.generator_losses, unbounded=below["generator"], has_pivot=True),
        ]

    def sampling_modules(self) -> Sequence[nn.Module]:
        """The generator, and its embedding."""
        return [self.players["generator"]]

    def once_differentiated(self) -> Sequence[nn.Module]:
        """The generator."""
        return [self.generator]

    @property
    def images_together(self) -> int:
        """Images in pairs of rows: one is damaged, the other one stays clean."""
        return 2

    def damaged(self, batch: Batch) -> tuple[Damaged, Tensor]:
        """What is left of every second image, N / 2, and what happened to it, int64 (N / 2,): the same in all phases.

        Raises:
            UserError: If N is odd.
        """
        image = batch["image"]
        if len(image) % 2:
            raise UserError(
                f"UnpairedEnhancement damages every second image of a batch and leaves the others clean, but there "
                f"are {len(image)}; use an even data.batch_size"
            )
        return self.mixture(image[0::2], batch["draws"].at("corruption"))

    def restored(self, damaged: Damaged, index: Tensor, base: Tensor | None = None) -> Tensor:
        """Damaged images enhanced, not yet confined to [-1, 1]: (N, C, H, W)."""
        like = damaged.image
        return self.generator(like, damaged.known, self._condition(index).to(like.dtype), base).to(like.dtype)

    def _condition(self, index: Tensor) -> Tensor:
        if "embedding" not in self.players["generator"]:  # type: ignore[operator]
            return torch.zeros(len(index), 0, device=self.device, dtype=self.dtype)
        return self.players["generator"]["embedding"](index)  # type: ignore[index, operator]

    def rule(self, pixels: Tensor, corruption: str) -> Transform | None:
        """See ImageGame."""
        index = torch.tensor([self.mixture.names.index(corruption)], device=self.device)
        return self.generator.rule(pixels, self._condition(index))

    @property
    def margin(self) -> int | None:
        """See ImageGame."""
        return self.generator.margin

    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        """See ImageGame."""
        index = torch.tensor([self.mixture.names.index(name) for name in corruptions], device=self.device)
        return self.restored(damaged, index, base).clamp(-1, 1)

    def patches(self, batch: Batch) -> Patches:
        """Where patches are cut out: the same places in both phases of a step."""
        return Patches.drawn(batch["draws"], self.num_patches, self.patch_size, batch["image"])

    def _images(self, batch: Batch, moves_generator: bool) -> Unpaired:
        damaged, index = self.damaged(batch)
        with torch.set_grad_enabled(moves_generator and torch.is_grad_enabled()):
            fake = self.restored(damaged, index)
        return Unpaired(batch["image"][1::2], damaged.image, fake)

    def _whole(self, images: Unpaired) -> UnpairedArena:
        return UnpairedArena(self.players["discriminator"]["network"], self.adversarial, images)  # type: ignore[index, arg-type]

    def _local(self, images: Unpaired, batch: Batch) -> UnpairedArena:
        patches = images.cut(self.patches(batch))
        return UnpairedArena(self.players["discriminator"]["local"], self.local_adversarial, patches)  # type: ignore[index, arg-type]

    def discriminator_losses(self, batch: Batch) -> Terms:
        """L_adv of images and of patches, and the regularisers that are played every time."""
        images, draws = self._images(batch, moves_generator=False), batch["draws"]
        whole = self._whole(images)
        real, fake = whole.see_both()
        real_patches, fake_patches = self._local(images, batch).see_both()
        losses = {
            "adversarial": self.adversarial.discriminator(real.logits, fake.logits),
            "local_adversarial": self.local_adversarial.discriminator(real_patches.logits, fake_patches.logits),
        }
        play, now = whole.play(draws, (real, fake)), [one for one in self._regularizers if one.every == 1]
        losses |= {one.name: one.loss(play) for one in now}
        observed = {}
        if draws.step % vital_signs.EVERY == 0:
            belief = self.adversarial.belief(real.logits, fake.logits)
            observed = {
                "signal/margin": vital_signs.margin(real.logits, fake.logits),
                "signal/r_t": vital_signs.sign_of_real(belief),
            }
        return Terms(losses, (), frozenset(one.name for one in now), observed)

    def lazy_losses(self, regularizer: Regularizer, batch: Batch) -> Terms:
        """One regulariser alone, times the interval at which it is played."""
        play, name = self._whole(self._images(batch, moves_generator=False)).play(batch["draws"]), regularizer.name
        return Terms({name: regularizer.loss(play) * regularizer.every}, penalties=frozenset({name}))

    def generator_losses(self, batch: Batch) -> Terms:
        """L_adv and what must be preserved, of images and of patches."""
        images = self._images(batch, moves_generator=True)
        losses = self._whole(images).generator_losses()
        losses |= {f"local_{name}": loss for name, loss in self._local(images, batch).generator_losses().items()}
        penalties = frozenset({"preservation", "local_preservation"})
        return Terms(losses, (images.fake,), penalties)
