"""MT-GAN: a generator that is realistic and satisfies N tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.conditions import condition_numbers
from lightning_mtgan.draws import Draws
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.losses import AdversarialLoss, squared_gradient_norms
from lightning_mtgan.networks import AdversarialHead, Generator, TaskEmbedding, Trunk, mixes_samples
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Constraint, Task
from lightning_mtgan.types import Batch, DataSpec, TaskSpec, Terms


class Discriminator(nn.Module):
    """A trunk shared by an adversarial head and the heads of the tasks.

    Args:
        trunk: From images to features.
        adversarial: From features and conditions to logits.
        supervision: The heads of the tasks, or None.
    """

    def __init__(self, trunk: Trunk, adversarial: AdversarialHead, supervision: Supervision | None) -> None:
        super().__init__()
        self.trunk = trunk
        self.adversarial = adversarial
        self.supervision = supervision


class MTGAN(Game):
    """Multi-task GAN with one trunk: L_D = L_adv + sum λ_i l_i(real), L_G = L_adv + sum λ_i l_i(fake).

    The heads see the trunk's features; the generator satisfies the tasks through them, and
    deterministic constraints directly. Generator and discriminator share one task embedding e(y),
    a single instance with one owner. The weights λ and γ stand in the Balancers, not here.

    Args:
        spec: What the data is.
        generator: From the spec and the length of the condition vector to a generator.
        trunk: From the spec to the discriminator's trunk.
        adversarial_head: From the number of features and the length of the condition vector to the
            head that judges realism.
        adversarial: The adversarial loss, both sides.
        embedding: From the tasks and the lengths of their codes to their embedding; null makes the
            generator unconditional, and then only the discriminator learns the tasks.
        supervision: From the tasks and the number of features to the task heads; null for none.
        embedding_owner: The player that the embedding belongs to; the others read it as a constant.
            ``discriminator`` suits projection, ``generator`` a head that ignores the condition.
            ``shared``: it is a player of its own with a phase of its own, in which it minimises the
            tasks' losses of generated images, which both other players want small.
        penalty_every: R1 and R2 at every so many-th batch: 1 adds them to the discriminator's
            phase, more makes a lazy phase scaled by the interval, 0 leaves them out.

    Raises:
        UserError: If ``penalty_every`` is negative, or a shared embedding has no loss of its own.
    """

    def __init__(
        self,
        spec: DataSpec,
        generator: Callable[[DataSpec, int], Generator],
        trunk: Callable[[DataSpec], Trunk],
        adversarial_head: Callable[[int, int], AdversarialHead],
        adversarial: AdversarialLoss,
        embedding: Callable[[Sequence[TaskSpec], Mapping[str, int]], TaskEmbedding] | None = None,
        supervision: Callable[[Mapping[str, Task], int], Supervision] | None = None,
        embedding_owner: Literal["generator", "discriminator", "shared"] = "discriminator",
        penalty_every: int = 1,
    ) -> None:
        super().__init__(spec)
        if penalty_every < 0:
            raise UserError(f"model.game.penalty_every is {penalty_every}; use 0 for none, 1 for every batch, or more")
        self.adversarial = adversarial
        self.penalty_every = penalty_every
        self.constraints = {name: task for name, task in self.tasks.items() if isinstance(task, Constraint)}
        headed = {name: task for name, task in self.tasks.items() if name not in self.constraints}

        code_sizes = {name: task.code_size for name, task in self.tasks.items()}
        table = embedding(spec.tasks, code_sizes) if embedding is not None and spec.tasks else None
        condition_dim = table.dim if table is not None else 0
        player_g = nn.ModuleDict({"network": generator(spec, condition_dim)})
        network_trunk = trunk(spec)
        player_d = nn.ModuleDict(
            {
                "network": Discriminator(
                    network_trunk,
                    adversarial_head(network_trunk.num_features, condition_dim),
                    supervision(headed, network_trunk.num_features) if supervision is not None and headed else None,
                )
            }
        )
        self.players["discriminator"] = player_d
        if table is not None and embedding_owner == "shared":
            if player_d["network"].supervision is None and not self.constraints:
                raise UserError(
                    "model.game.embedding_owner is shared, but there is no task loss for it to minimise; "
                    "set model.game.supervision or let the generator own the embedding"
                )
            self.players["shared"] = nn.ModuleDict({"embedding": table})
        elif table is not None:
            {"generator": player_g, "discriminator": player_d}[embedding_owner]["embedding"] = table
        self.players["generator"] = player_g
        self._mixes = mixes_samples(network_trunk)
        self._embedding_player = embedding_owner if table is not None else None

    @property
    def generator(self) -> Generator:
        """The generator's network."""
        return self.players["generator"]["network"]  # type: ignore[index,return-value]

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator's network."""
        return self.players["discriminator"]["network"]  # type: ignore[index,return-value]

    @property
    def embedding(self) -> TaskEmbedding | None:
        """The embedding that both players read, or None."""
        if self._embedding_player is None:
            return None
        return self.players[self._embedding_player]["embedding"]  # type: ignore[index,return-value]

    def phases(self) -> Sequence[Phase]:
        """Discriminator, its lazy penalty, shared embedding, generator."""
        phases = [Phase("discriminator", "discriminator", self.discriminator_losses)]
        if self.penalty_every > 1:
            phases.append(Phase("penalty", "discriminator", self.penalty_losses, every=self.penalty_every))
        if "shared" in self.players:
            phases.append(Phase("shared", "shared", self.shared_losses))
        phases.append(Phase("generator", "generator", self.generator_losses))
        return phases

    def sampling_modules(self) -> Sequence[nn.Module]:
        """The generator, and the embedding whoever owns it."""
        return [module for module in (self.generator, self.embedding) if module is not None]

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """The truth of each task about the real images; fakes are asked to show the same.

        Real images come in random order, so these conditions are random draws from the joint
        distribution of the tasks.
        """
        return {name: task.target(batch) for name, task in self.tasks.items()}

    def condition(self, targets: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """The embedding of the targets, (N, condition_dim), in the type of ``like``."""
        if self.embedding is None:
            return like.new_zeros(len(like), 0)
        codes = {name: task.code(targets[name]) for name, task in self.tasks.items()}
        return self.embedding({name: c.to(like.dtype) if c.is_floating_point() else c for name, c in codes.items()})

    def fake(self, draws: Draws, targets: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Generated images (N, C, H, W), one for each row of ``like``."""
        latent = draws.normal("latent", len(like), self.generator.latent_dim)
        return self.generator(latent, self.condition(targets, like)).to(like.dtype)

    def discriminator_losses(self, batch: Batch) -> Terms:
        """L_adv, the tasks' losses, and the means r1 and r2 of 1/2 ||grad d||^2 (weight: γ)."""
        real, targets, penalised = batch["image"], self.targets(batch), self.penalty_every == 1
        with torch.no_grad():
            fake = self.fake(batch["draws"], targets, real)
        image = torch.cat([real, fake]).requires_grad_(penalised)
        features, logits = self._judge(image, targets, 2)
        real_logits, fake_logits = logits.chunk(2)
        losses = {"adversarial": self.adversarial.discriminator(real_logits, fake_logits)}
        if self.discriminator.supervision is not None:
            real_features, fake_features = features.chunk(2)
            losses |= self.discriminator.supervision.discriminator_losses(
                real_features, fake_features, targets, targets
            )
        if penalised:
            norms = squared_gradient_norms(logits, image)
            losses["r1"], losses["r2"] = (half.mean() for half in norms.chunk(2))
        return Terms(losses, pivot=features, observed=self._observed(features, logits, targets, batch["draws"].step))

    def _observed(
        self, features: Tensor, logits: Tensor, targets: Mapping[str, Tensor], step: int
    ) -> dict[str, Tensor]:
        if step % vital_signs.EVERY:
            return {}
        (real, fake), compares = logits.chunk(2), self.adversarial.compares_with_real
        seen = {
            "signal/margin": vital_signs.margin(real, fake),
            "signal/r_t": vital_signs.sign_of_real(real, fake, compares),
        }
        if step % vital_signs.PAIRS_EVERY == 0:
            real_features, fake_features = features.chunk(2)
            condition = condition_numbers(targets, self.spec.tasks if self.obeys else ())
            if condition is None:
                condition = torch.zeros(len(real), dtype=torch.int64, device=real.device)
            seen["signal/diversity"] = vital_signs.distance_within(real_features, fake_features, condition)
        return seen

    def penalty_losses(self, batch: Batch) -> Terms:
        """R1 and R2 alone, times the interval at which they are played."""
        real, targets = batch["image"], self.targets(batch)
        with torch.no_grad():
            fake = self.fake(batch["draws"], targets, real)
        image = torch.cat([real, fake]).requires_grad_()
        _, logits = self._judge(image, targets, 2)
        r1, r2 = (half.mean() * self.penalty_every for half in squared_gradient_norms(logits, image).chunk(2))
        return Terms({"r1": r1, "r2": r2})

    def shared_losses(self, batch: Batch) -> Terms:
        """The tasks' losses of generated images, for an embedding that neither player owns."""
        targets = self.targets(batch)
        fake = self.fake(batch["draws"], targets, batch["image"])
        return Terms(self._task_losses(fake, self.discriminator.trunk(fake), targets), pivot=fake)

    def generator_losses(self, batch: Batch) -> Terms:
        """L_adv and the tasks' losses of generated images."""
        real, targets = batch["image"], self.targets(batch)
        fake = self.fake(batch["draws"], targets, real)
        if self.adversarial.compares_with_real:
            features, logits = self._judge(torch.cat([real, fake]), targets, 2)
            real_logits, fake_logits = logits.chunk(2)
            fake_features = features.chunk(2)[1]
        else:
            real_logits = None
            fake_features, fake_logits = self._judge(fake, targets, 1)
        losses = {"adversarial": self.adversarial.generator(real_logits, fake_logits)}
        if self.embedding is not None:
            losses |= self._task_losses(fake, fake_features, targets)
        return Terms(losses, pivot=fake)

    @property
    def obeys(self) -> bool:
        """Whether the generator reads the conditions."""
        return self.embedding is not None

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Logits of realism (N,), and each task head's output."""
        features, logits = self._judge(batch["image"], self.targets(batch), 1)
        supervision = self.discriminator.supervision
        return logits, supervision.predictions(features) if supervision is not None else {}

    def _judge(self, image: Tensor, targets: Mapping[str, Tensor], kinds: int) -> tuple[Tensor, Tensor]:
        """Features and logits of ``kinds`` kinds of images, one after the other, for the same targets."""
        trunk = self.discriminator.trunk
        # Where a layer mixes samples, real and generated images must not be mixed with each other.
        features = torch.cat([trunk(kind) for kind in image.chunk(kinds)]) if self._mixes else trunk(image)
        condition = self.condition(targets, image[: len(image) // kinds]).repeat(kinds, 1)
        return features, self.discriminator.adversarial(features, condition).to(image.dtype)

    def _task_losses(self, fake: Tensor, features: Tensor, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        supervision = self.discriminator.supervision
        losses = supervision.generator_losses(features, targets) if supervision is not None else {}
        return losses | {name: task.image_loss(fake, targets[name]) for name, task in self.constraints.items()}

    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images (num_images, C, H, W) in [-1, 1] that show the condition."""
        if generator is None:
            generator = torch.Generator(self.device)
            generator.seed()
        targets = self.draw_conditions(num_images, generator, condition)
        latent = torch.randn(num_images, self.generator.latent_dim, generator=generator, device=self.device)
        latent = latent.to(next(self.generator.parameters()).dtype)
        return self.generator(latent, self.condition(targets, latent))
