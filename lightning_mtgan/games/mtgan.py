"""MT-GAN: a generator that is realistic and satisfies N tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_mtgan import vital_signs
from lightning_mtgan.augment import Augmentation
from lightning_mtgan.conditions import condition_numbers
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.arena import Arena
from lightning_mtgan.games.asking import CompletedConditions, whole_rows
from lightning_mtgan.games.branching import adversarial_head_on, penalties_of, require_own_names, task_heads_on
from lightning_mtgan.games.discriminator import Discriminator
from lightning_mtgan.games.fitting import require_fitting
from lightning_mtgan.games.game import Game, Phase
from lightning_mtgan.games.sampling import sample
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import AdversarialHead, Generator, TaskEmbedding, Trunk
from lightning_mtgan.networks.structured_trunk import StructuredTrunk
from lightning_mtgan.regularizers import Play, Regularizer
from lightning_mtgan.self_supervision import SelfSupervision
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Constraint, Task
from lightning_mtgan.types import Batch, DataSpec, TaskSpec, Terms


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
        regularizers: Penalties and regularisers of both players, each at most once; a lazy one gets a phase of
            its own name.
        augmentation: What happens to every image before the discriminator judges it; null for nothing.
        clean_tasks: The task heads see images as they are, in a pass of their own, where the adversarial
            head sees them augmented.
        packing: Images that the discriminator judges together (PacGAN); more than 1 needs a head that
            ignores the condition, and no task heads.
        generator_every: Batches of which the generator plays one: steps of the discriminator for one of
            the generator.
        completes_conditions: Where a real image lacks a target, the generated one is asked for what is drawn from the
            data's distribution, rather than for nothing; needs an adversarial head that ignores the condition.
        self_supervision: From the spec and the number of features to tasks that make their own targets, on real and
            on generated images as they are; each name at most once.

    Raises:
        UserError: If a shared embedding has no loss of its own, or two of the parts do not fit together.
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
        regularizers: list[Regularizer] = [],  # noqa: B006 - never changed
        augmentation: Augmentation | None = None,
        clean_tasks: bool = False,
        packing: int = 1,
        generator_every: int = 1,
        completes_conditions: bool = False,
        self_supervision: list[Callable[[DataSpec, int], SelfSupervision]] = [],  # noqa: B006
    ) -> None:
        if completes_conditions and spec.joint is not None:
            spec = replace(spec, joint=whole_rows(spec.joint))
        super().__init__(spec)
        if generator_every < 1:
            raise UserError(f"model.game.generator_every is {generator_every}; use 1 for every batch, or more")
        if packing < 1:
            raise UserError(f"model.game.packing is {packing}; use 1 for none, or 2 to 4")
        self.adversarial = adversarial
        self.regularizers = nn.ModuleList(regularizers)
        self.augmentation, self.generator_every = augmentation, generator_every
        self.constraints = {name: task for name, task in self.tasks.items() if isinstance(task, Constraint)}
        headed = {name: task for name, task in self.tasks.items() if name not in self.constraints}

        code_sizes = {name: task.code_size for name, task in self.tasks.items()}
        table = embedding(spec.tasks, code_sizes) if embedding is not None and spec.tasks else None
        condition_dim = table.dim if table is not None else 0
        network = generator(spec, condition_dim)
        player_g = nn.ModuleDict({"network": network})
        network_trunk = trunk(replace(spec, num_channels=spec.num_channels * packing))
        discriminator = Discriminator(
            network_trunk,
            adversarial_head_on(network_trunk, adversarial_head, condition_dim),
            task_heads_on(network_trunk, supervision, headed),
            packing,
            [make(spec, network_trunk.num_features) for make in self_supervision],
        )
        owner = embedding_owner if table is not None else None
        require_fitting(discriminator, adversarial, regularizers, spec.tasks, owner)
        named = [*regularizers, *discriminator.self_supervision]
        require_own_names(network_trunk, [*self.tasks, *(one.name for one in named)])  # type: ignore[misc]
        player_d = nn.ModuleDict({"network": discriminator})
        if augmentation is not None and supervision is not None and not clean_tasks:
            augmentation.require_valid([task.spec for task in headed.values()])
        if completes_conditions and discriminator.adversarial.reads_condition:
            raise UserError(
                f"model.game.completes_conditions is true, but {type(discriminator.adversarial).__name__} would tell "
                "generated images by their conditions; use lightning_mtgan.networks.UnconditionalHead"
            )
        self.completed = CompletedConditions(spec, self.tasks) if completes_conditions and self.tasks else None
        self.players["discriminator"] = player_d
        if table is not None and embedding_owner == "shared":
            if discriminator.supervision is None and not self.constraints:
                raise UserError(
                    "model.game.embedding_owner is shared, but there is no task loss for it to minimise; "
                    "set model.game.supervision or let the generator own the embedding"
                )
            self.players["shared"] = nn.ModuleDict({"embedding": table})
        elif table is not None:
            {"generator": player_g, "discriminator": player_d}[embedding_owner]["embedding"] = table
        self.players["generator"] = player_g
        is_told_constants = embedding_owner == "generator"
        self.arena = Arena(self.tasks, network, discriminator, table, is_told_constants, augmentation, clean_tasks)

    @property
    def generator(self) -> Generator:
        """The generator's network."""
        return self.arena.generator

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator's network."""
        return self.arena.discriminator

    @property
    def embedding(self) -> TaskEmbedding | None:
        """The embedding that both players read, or None."""
        return self.arena.embedding

    def phases(self) -> Sequence[Phase]:
        """Discriminator, shared embedding, generator, each player's followed by its lazy regularisers."""
        supervision, sides = self.discriminator.supervision, self.adversarial.unbounded
        tasks = supervision.unbounded if supervision is not None and self.obeys else frozenset()
        own = frozenset(one.name for one in self.self_supervision if one.is_unbounded)
        unbounded = {
            side: frozenset({"adversarial"} if side in sides else ()) for side in ("discriminator", "generator")
        }

        def generators(name: str, losses: Callable[[Batch], Terms], unbounded: frozenset[str]) -> Phase:
            return Phase(name, name, losses, self.generator_every, unbounded=unbounded, has_pivot=True)

        return [
            Phase(
                "discriminator",
                "discriminator",
                self.discriminator_losses,
                unbounded=unbounded["discriminator"],
                has_pivot=self._judges_as_seen and not self.self_supervision,  # which sees other features
            ),
            *self._lazy_phases("discriminator"),
            *([generators("shared", self.shared_losses, tasks)] if "shared" in self.players else []),
            generators("generator", self.generator_losses, unbounded["generator"] | tasks | own),
            *self._lazy_phases("generator"),
        ]

    @property
    def _judges_as_seen(self) -> bool:
        """Whether the task heads read the features that realism is judged by."""
        is_clean = self.arena.clean_tasks and self.augmentation is not None
        return not is_clean and not isinstance(self.discriminator.trunk, StructuredTrunk)

    def _lazy_phases(self, player: str) -> list[Phase]:
        turns = self.generator_every if player == "generator" else 1
        return [
            Phase(one.name, player, partial(self.lazy_losses, one), one.every * turns, is_lazy=True)
            for one in self._regularizers(player)
            if one.every > 1
        ]

    def _regularizers(self, player: str) -> list[Regularizer]:
        return [one for one in self.regularizers if one.player == player]  # type: ignore[misc]

    def sampling_modules(self) -> Sequence[nn.Module]:
        """The generator, and the embedding whoever owns it."""
        return [module for module in (self.generator, self.embedding) if module is not None]

    def once_differentiated(self) -> Sequence[nn.Module]:
        """The trunk without gradient penalties, the generator without path lengths."""
        twice = {name for one in self.regularizers for name in one.second_order_of}  # type: ignore[union-attr]
        networks = {"trunk": self.discriminator.trunk, "generator": self.generator}
        return [network for name, network in networks.items() if name not in twice]

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """The truth of each task about the real images; fakes are asked to show the same.

        Real images come in random order, so these conditions are random draws from the joint
        distribution of the tasks.
        """
        return {name: task.target(batch) for name, task in self.tasks.items()}

    def conditions(self, batch: Batch) -> dict[str, Tensor]:
        """What the generated images of a batch are asked to show; in each phase of a step the same."""
        targets = self.targets(batch)
        return targets if self.completed is None else self.completed(targets, batch["draws"].at("conditions"))

    @property
    def known_share(self) -> float:
        """See Game; all of them, where conditions are completed."""
        return self.spec.known_share if self.completed is None else 1.0

    def discriminator_losses(self, batch: Batch) -> Terms:
        """L_adv, the tasks' losses, and the regularisers of this player that are played every time."""
        targets, conditions, draws = self.targets(batch), self.conditions(batch), batch["draws"]
        play = self.arena.play(batch, conditions, moves_generator=False)
        now = [one for one in self._regularizers("discriminator") if one.every == 1]
        kinds = {kind for one in now for kind in one.differentiates}
        play.real, play.fake = self.arena.see_both(play, conditions, kinds)
        real, fake = play.real.logits, play.fake.logits
        losses = {"adversarial": self.adversarial.discriminator(real, fake)}
        if self.discriminator.supervision is not None:
            features = self.arena.task_features(play, "real"), self.arena.task_features(play, "fake")
            losses |= self.discriminator.supervision.discriminator_losses(*features, targets, conditions)
        losses |= {one.name: one.discriminator_loss(play, self.discriminator.trunk) for one in self.self_supervision}
        losses |= {one.name: one.loss(play) for one in now}
        structure = penalties_of(self.discriminator.trunk)
        losses |= structure
        if self.augmentation is not None:
            signs = self.adversarial.belief(real, fake).detach().sign()
            self.augmentation.hear(signs.repeat_interleave(self.discriminator.packing), draws)  # of images, not packs
        passes = {id(seen.source): seen.source.features for seen in (play.real, play.fake)}
        pivot = tuple(passes.values()) if self._judges_as_seen else ()
        penalties = frozenset([*(one.name for one in now), *structure])
        return Terms(losses, pivot, penalties, self._observed(play, targets, conditions))

    def _observed(
        self, play: Play, targets: Mapping[str, Tensor], conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        if play.draws.step % vital_signs.EVERY:
            return {}
        seen = {
            "signal/margin": vital_signs.margin(play.real.logits, play.fake.logits),
            "signal/r_t": vital_signs.sign_of_real(self.adversarial.belief(play.real.logits, play.fake.logits)),
        }
        if self.augmentation is not None:
            seen |= self.augmentation.observed(play.draws)
        if play.draws.step % vital_signs.PAIRS_EVERY == 0:
            specs = self.spec.tasks if self.obeys else ()
            condition, asked = (condition_numbers(one, specs) for one in (targets, conditions))
            if condition is not None and asked is not None:
                condition = condition.where(condition == asked, -1)  # pairs that were asked for the same
            if condition is None or self.discriminator.packing > 1:
                condition = torch.zeros(len(play.real.logits), dtype=torch.int64, device=play.real.logits.device)
            seen["signal/diversity"] = vital_signs.distance_within(play.real.features, play.fake.features, condition)
        return seen

    def lazy_losses(self, regularizer: Regularizer, batch: Batch) -> Terms:
        """One regulariser alone, times the interval at which it is played."""
        play = self.arena.play(batch, self.conditions(batch), moves_generator=regularizer.player == "generator")
        name = regularizer.name
        return Terms({name: regularizer.loss(play) * regularizer.every}, penalties=frozenset({name}))

    def shared_losses(self, batch: Batch) -> Terms:
        """The tasks' losses of generated images, for an embedding that neither player owns."""
        targets = self.conditions(batch)
        play = self.arena.play(batch, targets, moves_generator=True)
        return Terms(self._task_losses(play, targets), (play.fake_image,))

    def generator_losses(self, batch: Batch) -> Terms:
        """L_adv, the tasks' losses of generated images, and the generator's regularisers."""
        targets = self.conditions(batch)
        play = self.arena.play(batch, targets, moves_generator=True)
        now = [one for one in self._regularizers("generator") if one.every == 1]
        real_logits = None
        if self.adversarial.compares_with_real or any(one.reads_real for one in now):
            play.real = self.arena.see_constant(play, targets)
            real_logits = play.real.logits
        losses = {"adversarial": self.adversarial.generator(real_logits, play.fake.logits)}
        if self.embedding is not None:
            losses |= self._task_losses(play, targets)
        losses |= {one.name: one.generator_loss(play, self.discriminator.trunk) for one in self.self_supervision}
        losses |= {one.name: one.loss(play) for one in now}
        return Terms(losses, (play.fake_image,), frozenset(one.name for one in now))

    @property
    def self_supervision(self) -> Sequence[SelfSupervision]:
        """The tasks that make their own targets."""
        return self.discriminator.self_supervision  # type: ignore[return-value]

    @property
    def images_together(self) -> int:
        """Images in a pack."""
        return self.discriminator.packing

    @property
    def obeys(self) -> bool:
        """Whether the generator reads the conditions."""
        return self.embedding is not None

    def judge(self, batch: Batch) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Logits of realism (N,), and each task head's output, for images as they are."""
        discriminator, num_images = self.discriminator, len(batch["image"])
        rows = torch.arange(num_images + -num_images % discriminator.packing) % num_images  # packs must be full
        image = discriminator.packed(batch["image"][rows]) if discriminator.packing > 1 else batch["image"]
        features, logits = self.arena.judge(image, self.targets(batch), 1)
        supervision = discriminator.supervision
        predictions = supervision.predictions(features) if supervision is not None else {}
        return logits.repeat_interleave(discriminator.packing)[:num_images], predictions

    def recognised(self, image: Tensor) -> dict[str, Tensor]:
        """Whether each self-supervised head tells what was done to each image, float (N,), by its name."""
        return {one.name: one.is_right(image, self.discriminator.trunk) for one in self.self_supervision}

    def _task_losses(self, play: Play, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        supervision, fake = self.discriminator.supervision, play.fake_image
        losses = {name: task.image_loss(fake, targets[name]) for name, task in self.constraints.items()}
        if supervision is None:
            return losses
        return supervision.generator_losses(self.arena.task_features(play, "fake"), targets) | losses

    def sample(
        self,
        num_images: int,
        condition: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Images (num_images, C, H, W) in [-1, 1] that show the condition."""
        return sample(self, self.generator, self.embedding, num_images, condition, generator)
