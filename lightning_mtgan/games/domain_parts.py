"""The networks of a Game of several domains, made so that each is the same whatever stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch

from lightning_mtgan.draws import seed_of
from lightning_mtgan.errors import UserError
from lightning_mtgan.games.domain_arena import DomainDiscriminators
from lightning_mtgan.games.domain_game import DomainGame
from lightning_mtgan.losses import AdversarialLoss
from lightning_mtgan.networks import AdversarialHead, Layered, LayeredGenerator, LayeredTrunk, SideBySide, TaskEmbedding
from lightning_mtgan.regularizers import PathLength, Regularizer
from lightning_mtgan.representations import Representation
from lightning_mtgan.supervision import Supervision
from lightning_mtgan.tasks import Constraint, Task
from lightning_mtgan.types import DataSpec, TaskSpec


@contextmanager
def _seeded(*purpose: str) -> Iterator[None]:
    """Initial weights that follow from the seed and their purpose, not from what was drawn before."""
    seed = seed_of(torch.initial_seed(), *purpose)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def embedding_of(
    embedding: Callable[[Sequence[TaskSpec], Mapping[str, int]], TaskEmbedding] | None,
    specs: Sequence[TaskSpec],
    tasks: Mapping[str, Task],
) -> TaskEmbedding | None:
    """The embedding of all tasks, or None without one."""
    if embedding is None or not specs:
        return None
    with _seeded("embedding"):
        return embedding(specs, {name: task.code_size for name, task in tasks.items()})


def side_by_side(
    generator: Callable[[DataSpec, int], LayeredGenerator],
    specs: Mapping[str, DataSpec],
    condition_dim: int,
    num_shared: int | None,
    grouped: bool,
    same_start: bool = False,
) -> tuple[SideBySide, int]:
    """The generators, and the length of their latents.

    Args:
        generator: From a domain's spec and the length of the condition vector to its generator.
        specs: What each domain is.
        condition_dim: Length of the condition vector.
        num_shared: First layers that are shared; None for all.
        grouped: See SideBySide.
        same_start: Whether networks that are alike begin with the same weights.

    Raises:
        UserError: If they read latents of different lengths.
    """
    networks = {}
    for name, spec in specs.items():
        with _seeded("generator", "" if same_start else name):
            networks[name] = generator(spec, condition_dim)
    lengths = {one.latent_dim for one in networks.values()}
    if len(lengths) > 1:
        raise UserError(
            f"model.game.generator makes latents of {' and '.join(map(str, sorted(lengths)))} numbers for different "
            "domains; give all of them one latent_dim"
        )
    if num_shared is not None and num_shared < 0:
        raise UserError(f"model.game.shared_generator_layers is {num_shared}; use 0 for none, or null for all")
    return SideBySide(networks, num_shared, from_end=False, grouped=grouped), lengths.pop()


def discriminators_of(
    trunk: Callable[[DataSpec], LayeredTrunk],
    adversarial_head: Callable[[int, int], AdversarialHead],
    supervision: Callable[[Mapping[str, Task], int], Supervision] | None,
    game: DomainGame,
    condition_dim: int,
    num_shared: int | None,
    grouped: bool,
) -> DomainDiscriminators:
    """The discriminators; the head that judges is the last of the shared layers, and task heads follow the features.

    Args:
        trunk: From a domain's spec to its trunk.
        adversarial_head: From the number of features and the length of the condition vector to a head that judges.
        supervision: From the tasks and the number of features to the task heads; None for none.
        game: The Game, whose domains and tasks they are for.
        condition_dim: Length of the condition vector.
        num_shared: Last layers that are shared; None for all.
        grouped: See SideBySide.

    Raises:
        UserError: If the number is negative.
    """
    if num_shared is not None and num_shared < 0:
        raise UserError(f"model.game.shared_discriminator_layers is {num_shared}; use 0 for none, or null for all")
    trunks, heads = {}, dict[str, AdversarialHead]()
    for name, spec in game.spec.domains.items():
        with _seeded("discriminator", name):
            trunks[name] = trunk(spec)
            heads[name] = adversarial_head(trunks[name].num_features, condition_dim)
    features = {name: one.num_features for name, one in trunks.items()}
    together = SideBySide(trunks, None if num_shared is None else max(0, num_shared - 1), True, grouped)
    if num_shared != 0:
        heads = {name: _first_alike(heads, name) for name in heads}
    return DomainDiscriminators(together, heads, _supervisions(supervision, game, together, features))


def _first_alike(heads: Mapping[str, AdversarialHead], name: str) -> AdversarialHead:
    return next(head for head in heads.values() if repr(head) == repr(heads[name]))


def _supervisions(
    supervision: Callable[[Mapping[str, Task], int], Supervision] | None,
    game: DomainGame,
    trunks: SideBySide,
    num_features: Mapping[str, int],
) -> dict[str, Supervision]:
    """The task heads of each domain: one set for all domains that have their features from the same last layer."""
    found: dict[str, Supervision] = {}
    for team in trunks.teams(trunks.length - 1):
        own = {task.name for name in team for task in game.spec.domains[name].tasks}
        headed = {n: task for n, task in game.tasks.items() if n in own and not isinstance(task, Constraint)}
        if supervision is not None and headed:
            with _seeded("supervision", team[0]):
                heads = supervision(headed, num_features[team[0]])
            found |= dict.fromkeys(team, heads)
    return found


def require_fitting(
    adversarial: AdversarialLoss,
    regularizers: Sequence[Regularizer],
    tasks: Sequence[TaskSpec],
    domains: Sequence[str],
    others: Sequence[str] = (),
) -> None:
    """Refuse parts that do not fit together.

    Args:
        adversarial: The adversarial loss.
        regularizers: The regularisers of both players.
        tasks: The tasks of all domains.
        domains: Their names.
        others: Further losses of the Game, by their whole names.

    Raises:
        UserError: With both parts, and what would go.
    """
    names = [one.name for one in regularizers]
    for one in regularizers:
        kind = type(one).__name__
        if names.count(one.name) > 1:
            raise UserError(f"model.game.regularizers has {kind} twice; name each once")
        if isinstance(one, PathLength):
            raise UserError(f"model.game.regularizers has {kind}, which needs a generator with styles; leave it out")
        if one.needs_absolute_logits and adversarial.compares_with_real:
            raise UserError(
                f"model.game.regularizers has {kind}, which reads logits themselves, but {type(adversarial).__name__} "
                "judges differences alone; take a loss that does not compare, such as Hinge, or leave it out"
            )
    losses = [f"{name}_{domain}" for domain in domains for name in ("adversarial", *names, *(t.name for t in tasks))]
    losses += others
    for name in losses:
        if losses.count(name) > 1:
            raise UserError(f"two losses of this game would be called `{name}`; rename a task or a domain in the data")


def representation_of(
    representation: Callable[[Layered, tuple[str, ...]], Representation],
    generator: Callable[[DataSpec, int], LayeredGenerator],
    game: DomainGame,
    condition_dim: int,
    depth: int,
) -> Representation:
    """The representation that generators share, made of first layers such as theirs.

    Args:
        representation: From a network of such layers and the names of the domains to the representation.
        generator: From a domain's spec and the length of the condition vector to its generator.
        game: The Game, whose domains it is for.
        condition_dim: Length of the condition vector.
        depth: How many layers.

    Raises:
        UserError: If a generator has no more layers than that, or two have other layers there.
    """
    with _seeded("representation"):
        networks = {name: generator(spec, condition_dim) for name, spec in game.spec.domains.items()}
    first = next(iter(networks))
    for name, network in networks.items():
        if not 0 < depth < len(network.layers):
            raise UserError(
                f"model.game.depth is {depth}, but the generator of {name} has {len(network.layers)} layers; use 1 to "
                f"{len(network.layers) - 1}"
            )
        if repr(network.layers[:depth]) != repr(networks[first].layers[:depth]):
            raise UserError(
                f"model.game.depth is {depth}, but the generators of {first} and {name} differ in their first {depth} "
                "layers; use less, or give them the same width"
            )
    return representation(Layered(list(networks[first].layers[:depth])), game.domains)
