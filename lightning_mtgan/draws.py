"""Random numbers as a function of (seed, step, purpose), never of history or of the number of ranks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

import torch
from torch import Tensor


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed that depends on all of the parts and on nothing else."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


@dataclass(frozen=True)
class Draws:
    """Draws for the global batch, of which this rank gets its slice.

    Each method takes a purpose; the same (seed, step, phase, purpose) always gives the same
    numbers, on any number of ranks, also after a resume. Numbers are drawn on the device in
    float32 and then converted, so that the precision does not change them.

    Args:
        seed: Seed of the run.
        step: Index of the batch, counted from 0.
        phase: Name of the phase.
        rank: Index of this process.
        world_size: Number of processes.
        device: Where the numbers are drawn.
        dtype: Type of the floating-point numbers returned.
        part: Index of the micro-batch.
        parts: Micro-batches that the global batch is split into, one after the other.
    """

    seed: int
    step: int = 0
    phase: str = ""
    rank: int = 0
    world_size: int = 1
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32
    part: int = 0
    parts: int = 1

    def at(self, phase: str) -> Draws:
        """The same draws under another name of the phase."""
        return replace(self, phase=phase)

    def of_part(self, part: int, parts: int) -> Draws:
        """The draws for one micro-batch of several."""
        return replace(self, part=part, parts=parts)

    def on_host(self) -> Draws:
        """The same draws made on the CPU, for what Python must know without waiting for the device."""
        return replace(self, device="cpu")

    def seed_of(self, purpose: str) -> int:
        """The seed that belongs to (seed, step, phase, purpose)."""
        return seed_of(self.seed, self.step, self.phase, purpose)

    def generator(self, purpose: str) -> torch.Generator:
        """A generator at the state that belongs to (seed, step, phase, purpose)."""
        return torch.Generator(self.device).manual_seed(self.seed_of(purpose))

    def normal(self, purpose: str, num_images: int, *shape: int) -> Tensor:
        """Standard normal numbers for this rank's images of this micro-batch: (num_images, *shape)."""
        size = (num_images * self.world_size * self.parts, *shape)
        numbers = torch.randn(size, generator=self.generator(purpose), device=self.device, dtype=torch.float32)
        return self.mine(numbers, num_images).to(self.dtype)

    def uniform(self, purpose: str, num_images: int, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1) for this rank's images of this micro-batch: (num_images, *shape)."""
        size = (num_images * self.world_size * self.parts, *shape)
        numbers = torch.rand(size, generator=self.generator(purpose), device=self.device, dtype=torch.float32)
        return self.mine(numbers, num_images).to(self.dtype)

    def num_global(self, num_images: int) -> int:
        """Images of the global batch, where this rank has so many in each micro-batch."""
        return num_images * self.world_size * self.parts

    def mine(self, numbers: Tensor, num_images: int) -> Tensor:
        """The rows of this rank's images of this micro-batch, of what was drawn for the global batch."""
        first = (self.part * self.world_size + self.rank) * num_images
        return numbers[first : first + num_images]
