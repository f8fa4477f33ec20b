"""MT-S4-GAN: a generator that takes images, and learns by restoring what was taken from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.corruptions import Corruption, Damaged, Mixture
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.corruption_losses import by_corruption
from lightning_mtgan.games.game import Phase
from lightning_mtgan.games.image_game import ImageGame
from lightning_mtgan.games.paired_discriminator import PairedDiscriminator
from lightning_mtgan.games.pairing import Pairing, require_fitting
from lightning_mtgan.losses import AdversarialLoss, feature_distance, lost_error
from lightning_mtgan.networks import ImageEncoder, PatchHead, PatchTrunk, Translator
from lightning_mtgan.regularizers import Regularizer
from lightning_mtgan.self_supervision import SelfSupervision
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Constraint, Task
from lightning_mtgan.transforms import Transform
from lightning_mtgan.types import Batch, DataSpec, Terms


class MTS4GAN(ImageGame):
    """Self-supervised multi-task GAN of images: L_G = L_adv + sum λ_i l_i(G(c_j(x), j)) + sum μ_j |G(c_j(x), j) - x|.

    Each image x is damaged by one corruption c_j, and a generator that is told j restores it. The discriminator
    judges patches of the restored and of the true image beside the damaged one, and its trunk carries the heads of
    the tasks, which restored images must satisfy. The weights λ and μ stand in the Balancers, not here.

    Args:
        spec: What the data is.
        corruptions: What is taken from images, each name at most once.
        generator: From the spec, the length of the condition and the encoder to use (None: one of its own) to
            the network that restores.
        trunk: From the spec to the discriminator's trunk.
        adversarial: The adversarial loss, on patches; null for no discriminator at all: trunk, heads and
            regularisers are then not built, and restorations and measured constraints alone are learned.
        adversarial_head: From the channels of the trunk's last map and the length of the condition to the head
            that judges patches.
        supervision: From the tasks and the number of features to the task heads; null for none.
        self_supervision: From the spec and the number of features to further tasks that make their own targets.
        regularizers: Penalties and regularisers of the discriminator, each at most once.
        embedding_dim: Length of the vectors that say what to restore, one table in each player.
        shares_encoder: The trunk's first layers are the generator's encoder: the discriminator owns and trains them,
            the generator reads them as constants, Chen et al. 2020 (NICE-GAN, arXiv:2003.00273), section 3.
        matches_features: Whether restored images must also have the true ones' features in the discriminator's trunk,
            the loss ``feature_matching``.

    Raises:
        UserError: If two of the parts do not fit together.
    """

    def __init__(
        self,
        spec: DataSpec,
        corruptions: list[Corruption],
        generator: Callable[[DataSpec, int, ImageEncoder | None], Translator],
        trunk: Callable[[DataSpec], PatchTrunk],
        adversarial: AdversarialLoss | None,
        adversarial_head: Callable[[int, int], PatchHead] = PatchHead,
        supervision: Callable[[Mapping[str, Task], int], Supervision] | None = None,
        self_supervision: list[Callable[[DataSpec, int], SelfSupervision]] = [],  # noqa: B006 - never changed
        regularizers: list[Regularizer] = [],  # noqa: B006
        embedding_dim: int = 16,
        shares_encoder: bool = False,
        matches_features: bool = True,
    ) -> None:
        super().__init__(spec)
        if embedding_dim < 1:
            raise UserError(f"model.game.embedding_dim is {embedding_dim}; use 1 or more")
        self.mixture = Mixture(corruptions)
        self.corruptions = {one.name: one for one in corruptions}
        for one in corruptions:
            one.require_fitting(spec)
        if adversarial is None and shares_encoder:
            raise UserError(
                "model.game.shares_encoder is true, but without model.game.adversarial there is no discriminator to "
                "share one with; set it false"
            )
        self.adversarial, self.matches_features = adversarial, matches_features
        self.constraints = {name: task for name, task in self.tasks.items() if isinstance(task, Constraint)}
        headed = {name: task for name, task in self.tasks.items() if name not in self.constraints}
        discriminator, encoder = None, None
        self.regularizers = nn.ModuleList()
        if adversarial is not None:
            network = trunk(spec)
            encoder = network.encoder if shares_encoder else None
            own = [make(spec, network.num_features) for make in self_supervision]
            heads = supervision(headed, network.num_features) if supervision is not None and headed else None
            head = adversarial_head(network.body_width, embedding_dim)
            discriminator = PairedDiscriminator(network, head, len(corruptions), embedding_dim, heads, own)
            self.regularizers.extend(regularizers)
            self.players["discriminator"] = nn.ModuleDict({"network": discriminator})
        require_fitting(self.mixture.names, discriminator, adversarial, self._regularizers, spec.tasks)
        self._generator = [generator(spec, embedding_dim, encoder)]  # in a list: what it borrows has another owner
        own_parts = [*self.generator.named_parameters(recurse=False), *self.generator.named_buffers(recurse=False)]
        if own_parts:  # only its modules are given to the player, because it may borrow one of them
            raise TypeError(
                f"{type(self.generator).__name__}.{own_parts[0][0]} stands on the generator itself; give it a module"
            )
        table = nn.Embedding(len(corruptions), embedding_dim)
        parts = {name: part for name, part in self.generator.named_children() if part is not encoder}
        self.players["generator"] = nn.ModuleDict({**parts, "embedding": table})

    @property
    def generator(self) -> Translator:
        """The generator's network."""
        return self._generator[0]

    @property
    def embedding(self) -> nn.Embedding:
        """What the generator is told to restore, a row for each corruption."""
        return self.players["generator"]["embedding"]  # type: ignore[index, return-value]

    @property
    def discriminator(self) -> PairedDiscriminator | None:
        """The discriminator's network, where there is one."""
        return self.players["discriminator"]["network"] if "discriminator" in self.players else None  # type: ignore

    @property
    def _borrowed(self) -> ImageEncoder | None:
        """The encoder that the discriminator owns and the generator reads, if they share one."""
        encoder = self.generator.encoder
        return encoder if self.discriminator is not None and encoder is self.discriminator.trunk.encoder else None

    @property
    def _regularizers(self) -> list[Regularizer]:
        return list(self.regularizers)  # type: ignore[arg-type]

    @property
    def self_supervision(self) -> Sequence[SelfSupervision]:
        """The tasks that make their own targets, beside the restorations."""
        return self.discriminator.self_supervision if self.discriminator is not None else []  # type: ignore[return-value]

    def phases(self) -> Sequence[Phase]:
        """The discriminator, its lazy regularisers, the generator."""
        if self.discriminator is None or self.adversarial is None:
            return [Phase("generator", "generator", self.generator_losses, has_pivot=True)]
        sides, heads = self.adversarial.unbounded, self.discriminator.supervision
        below = frozenset(one.name for one in self.self_supervision if one.is_unbounded)
        below |= heads.unbounded if heads is not None else frozenset()
        adversarial = {
            side: frozenset({"adversarial"} if side in sides else ()) for side in ("discriminator", "generator")
        }
        return [
            Phase("discriminator", "discriminator", self.discriminator_losses, unbounded=adversarial["discriminator"]),
            *(
                Phase(one.name, "discriminator", partial(self.lazy_losses, one), one.every, is_lazy=True)
                for one in self._regularizers
                if one.every > 1
            ),
            Phase(
                "generator",
                "generator",
                self.generator_losses,
                unbounded=adversarial["generator"] | below,
                has_pivot=True,
            ),
        ]

    def sampling_modules(self) -> Sequence[nn.Module]:
        """The generator with its encoder, whoever owns it, and its embedding."""
        return [self.generator, self.embedding]

    def once_differentiated(self) -> Sequence[nn.Module]:
        """The generator."""
        return [self.generator] if self._borrowed is None else []

    def remarks(self) -> Sequence[str]:
        """What a shared encoder saves."""
        if self._borrowed is None:
            return []
        saved = sum(parameter.numel() for parameter in self._borrowed.parameters())
        whole = saved + sum(parameter.numel() for parameter in self.parameters())
        return [
            f"shared encoder: {whole - saved:,} parameters instead of {whole:,} ({saved / whole:.0%} fewer); "
            "the discriminator alone trains it"
        ]

    def damaged(self, batch: Batch) -> tuple[Damaged, Tensor]:
        """What is left of a batch's images, and of what, int64 (N,): the same in each phase of a step."""
        return self.mixture(batch["image"], batch["draws"].at("corruption"))

    def restored(self, damaged: Damaged, index: Tensor, base: Tensor | None = None) -> Tensor:
        """Damaged images restored, not yet confined to [-1, 1]: (N, C, H, W)."""
        condition = self.embedding(index).to(damaged.image.dtype)
        return self.generator(damaged.image, damaged.known, condition, base).to(damaged.image.dtype)

    @property
    def margin(self) -> int | None:
        """See ImageGame."""
        return self.generator.margin

    def restore(self, damaged: Damaged, corruptions: Sequence[str], base: Tensor | None = None) -> Tensor:
        """See ImageGame."""
        index = torch.tensor([self.mixture.names.index(name) for name in corruptions], device=self.device)
        return self.restored(damaged, index, base).clamp(-1, 1)

    def rule(self, pixels: Tensor, corruption: str) -> Transform | None:
        """See ImageGame."""
        index = torch.tensor([self.mixture.names.index(corruption)], device=self.device)
        return self.generator.rule(pixels, self.embedding(index))

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """The truth of each task about the images, which restored ones must show again."""
        return {name: task.target(batch) for name, task in self.tasks.items()}

    def _pairing(self, batch: Batch, moves_generator: bool) -> Pairing:
        assert self.discriminator is not None
        damaged, index = self.damaged(batch)
        with torch.set_grad_enabled(moves_generator and torch.is_grad_enabled()):
            fake = self.restored(damaged, index)
        return Pairing(self.discriminator, batch["draws"], batch["image"], damaged, index, fake, moves_generator)

    def discriminator_losses(self, batch: Batch) -> Terms:
        """L_adv of patches, the tasks' losses, and the regularisers that are played every time."""
        assert self.discriminator is not None and self.adversarial is not None
        pairing, targets = self._pairing(batch, moves_generator=False), self.targets(batch)
        real, fake = pairing.see_both()
        losses = {"adversarial": self.adversarial.discriminator(real.logits.flatten(), fake.logits.flatten())}
        if self.discriminator.supervision is not None:
            losses |= self.discriminator.supervision.discriminator_losses(
                real.features, fake.features, targets, targets
            )
        play, trunk = pairing.play, self.discriminator.trunk
        losses |= {one.name: one.discriminator_loss(play, trunk) for one in self.self_supervision}
        now = [one for one in self._regularizers if one.every == 1]
        losses |= {one.name: one.loss(play) for one in now}
        observed = {}
        if batch["draws"].step % vital_signs.EVERY == 0:
            belief = self.adversarial.belief(real.logits.flatten(), fake.logits.flatten())
            observed = {
                "signal/margin": vital_signs.margin(real.logits, fake.logits),
                "signal/r_t": vital_signs.sign_of_real(belief),
            }
        return Terms(losses, (), frozenset(one.name for one in now), observed)

    def lazy_losses(self, regularizer: Regularizer, batch: Batch) -> Terms:
        """One regulariser alone, times the interval at which it is played."""
        play, name = self._pairing(batch, moves_generator=False).play, regularizer.name
        return Terms({name: regularizer.loss(play) * regularizer.every}, penalties=frozenset({name}))

    def generator_losses(self, batch: Batch) -> Terms:
        """L_adv of patches, feature matching, the tasks' losses of restored images, and each corruption's error."""
        targets = self.targets(batch)
        if self.discriminator is None:
            damaged, index = self.damaged(batch)
            fake, losses = self.restored(damaged, index), {}
        else:
            pairing = self._pairing(batch, moves_generator=True)
            damaged, index, fake = pairing.damaged, pairing.index, pairing.fake
            losses = self._judged(pairing, targets)
        errors = lost_error(fake, batch["image"], damaged.known)
        losses |= by_corruption(errors, index, self.mixture, batch["draws"].at("corruption"))
        losses |= {name: task.image_loss(fake, targets[name]) for name, task in self.constraints.items()}
        penalties = frozenset({"feature_matching"} & losses.keys())
        return Terms(losses, (fake,), penalties)

    def _judged(self, pairing: Pairing, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the discriminator asks of restored images."""
        assert self.discriminator is not None and self.adversarial is not None
        fake, real = pairing.fake_sight, None
        if self.adversarial.compares_with_real or self.matches_features:
            real = pairing.constant_sight()
        real_logits = real.logits.flatten() if real is not None and self.adversarial.compares_with_real else None
        losses = {"adversarial": self.adversarial.generator(real_logits, fake.logits.flatten())}
        if self.matches_features and real is not None:
            losses["feature_matching"] = feature_distance(real.maps, fake.maps)
        if self.discriminator.supervision is not None:
            losses |= self.discriminator.supervision.generator_losses(fake.features, targets)
        own = self.self_supervision
        return losses | {one.name: one.generator_loss(pairing.play, self.discriminator.trunk) for one in own}

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """No logits, which depend on a damaged image; each task head's output for images as they are."""
        if self.discriminator is None or self.discriminator.supervision is None:
            return None, {}
        return None, self.discriminator.supervision.predictions(self.discriminator.trunk(batch["image"]))

    def recognised(self, image: Tensor) -> dict[str, Tensor]:
        """Whether each self-supervised head tells what was done to each image, float (N,), by its name."""
        if self.discriminator is None:
            return {}
        return {one.name: one.is_right(image, self.discriminator.trunk) for one in self.self_supervision}
