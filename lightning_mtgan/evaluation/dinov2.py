"""DINOv2's vision transformer, from the published weights alone: torch-fidelity would fetch its code from GitHub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention, silu
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

PATCH = 14
TRAINED_GRID = 37  # 518 pixels, the size of the published position embeddings
EPSILON = 1e-6


@dataclass(frozen=True)
class Shape:
    """What tells the published transformers apart.

    Args:
        width: Numbers in a token.
        depth: Blocks.
        gated: Whether the blocks' feed-forward layers are gated (SwiGLU).
    """

    width: int
    depth: int
    gated: bool = False

    @property
    def heads(self) -> int:
        """Attention heads, of 64 numbers each."""
        return self.width // 64


SHAPES = {
    "dinov2-vit-s-14": Shape(384, 12),
    "dinov2-vit-b-14": Shape(768, 12),
    "dinov2-vit-l-14": Shape(1024, 24),
    "dinov2-vit-g-14": Shape(1536, 40, gated=True),
}


class Attention(nn.Module):
    """Self-attention over all tokens, Vaswani et al. 2017 (arXiv:1706.03762), equation 1."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, D) to tokens (N, T, D)."""
        parts = self.qkv(tokens).unflatten(2, (3, self.heads, -1))  # N, T, 3, heads, numbers
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        return self.proj(scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them, applied to each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, D) to tokens (N, T, D)."""
        return self.fc2(gelu(self.fc1(tokens)))


class GatedFeedForward(nn.Module):
    """SwiGLU, Shazeer 2020 (arXiv:2002.05202), equation 6: two thirds of the usual width, in steps of 8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = (int(4 * width * 2 / 3) + 7) // 8 * 8
        self.w12 = nn.Linear(width, 2 * inner)
        self.w3 = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, D) to tokens (N, T, D)."""
        gate, value = self.w12(tokens).chunk(2, dim=-1)
        return self.w3(silu(gate) * value)


class LayerScale(nn.Module):
    """A learned factor for each number, Touvron et al. 2021 (arXiv:2103.17239), equation 4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, D) to tokens (N, T, D)."""
        return tokens * self.gamma


class Block(nn.Module):
    """Attention and feed-forward layer, each normalised before, scaled after, and added to its input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, EPSILON)
        self.attn = Attention(shape)
        self.ls1 = LayerScale(shape.width)
        self.norm2 = nn.LayerNorm(shape.width, EPSILON)
        self.mlp = GatedFeedForward(shape.width) if shape.gated else FeedForward(shape.width)
        self.ls2 = LayerScale(shape.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, D) to tokens (N, T, D)."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class PatchEmbedding(nn.Module):
    """A linear layer for each patch of 14 x 14 pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, image: Tensor) -> Tensor:
        """Images (N, 3, H, W) to patches (N, D, H / 14, W / 14)."""
        return self.proj(image)


class VisionTransformer(nn.Module):
    """DINOv2's network, Oquab et al. 2023 (arXiv:2304.07193); its parameters are named as in the published files.

    Args:
        shape: Width, depth and kind of the feed-forward layers.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, TRAINED_GRID**2 + 1, shape.width))
        self.mask_token = nn.Parameter(torch.zeros(1, shape.width))  # of training only; the published files hold it
        self.patch_embed = PatchEmbedding(shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, EPSILON)

    def positions(self, grid: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Position embeddings of the class token (1, 1, D) and of a grid of patches (1, D, *grid)."""
        of_class, of_patches = self.pos_embed.split((1, TRAINED_GRID**2), dim=1)
        of_patches = of_patches.transpose(1, 2).unflatten(2, (TRAINED_GRID, TRAINED_GRID))
        if tuple(grid) == (TRAINED_GRID, TRAINED_GRID):
            return of_class, of_patches
        # The published model asks for a tenth of a patch more; the factor, and so every sample point, depends on it.
        factors = [(size + 0.1) / TRAINED_GRID for size in grid]
        return of_class, interpolate(of_patches, scale_factor=factors, mode="bicubic")

    def forward(self, image: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W), sides in steps of 14 pixels, to class tokens (N, D)."""
        patches = self.patch_embed(image)
        of_class, of_patches = self.positions(patches.shape[2:])
        first = (self.cls_token + of_class).expand(len(image), -1, -1)
        tokens = torch.cat([first, (patches + of_patches).flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, 0])


class DinoV2(FeatureExtractorDinoV2):
    """torch-fidelity's extractor, with its preprocessing, around the network above.

    Args:
        name: torch-fidelity's name of the network.
        weights: The tensors of the published file; they become the parameters.

    Raises:
        RuntimeError: If they are the weights of another network.
    """

    def __init__(self, name: str, weights: Mapping[str, Tensor]) -> None:
        FeatureExtractorBase.__init__(self, name, ["dinov2"])  # not the parent's, which loads code from GitHub
        self.feature_extractor_internal_dtype = torch.float32
        with torch.device("meta"):
            self.model = VisionTransformer(SHAPES[name])
        self.model.load_state_dict(weights, assign=True)
        self.eval().requires_grad_(False).float()
