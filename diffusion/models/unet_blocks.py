"""What the blocks of a latent diffusion UNet are made of, and how they follow from its configuration."""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.models.transformer import SpatialTransformer, heads_for
from diffusion.models.unet_config import UNetConfig
from diffusion.ops.layers import Conv2d, Linear
from diffusion.patches.hooks import BlockInfo, ModelHooks


class ResidualBlock(nn.Module):
    """Two normed convolutions; the embedding of time is added between them."""

    def __init__(self, in_width: int, out_width: int, emb_width: int):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, in_width), nn.SiLU(), Conv2d(in_width, out_width, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), Linear(emb_width, out_width))
        # out_layers.2 was dropout in training.
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out_width), nn.SiLU(), nn.Identity(), Conv2d(out_width, out_width, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if in_width == out_width else Conv2d(in_width, out_width, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x: (B, C, H, W). emb: (B, E)."""
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Downsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.op = Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv = Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """x: (B, C, h, w). Returns (B, C, *size)."""
        return self.conv(F.interpolate(x, size=size, mode="nearest"))


class Block(nn.ModuleList):
    """One numbered block: some of convolution, residual block, transformer and resampling, in order."""

    def forward(
        self,
        x: Tensor,
        emb: Tensor,
        context: Tensor,
        hooks: ModelHooks,
        info: BlockInfo,
        size: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """x: (B, C, H, W). emb: (B, E). context: (B, T, D). size: what an upsampling leads to."""
        for member in self:
            match member:
                case ResidualBlock():
                    x = member(x, emb)
                case SpatialTransformer():
                    x = member(x, context, hooks, info)
                case Upsample():
                    x = member(x, size)
                case _:
                    x = member(x)
        return x


class UNetBuilder:
    """Makes the blocks in order of execution, remembering what widths the earlier ones left."""

    def __init__(self, config: UNetConfig):
        self._config = config
        self._width = config.base_width
        self._skips: list[int] = []
        self._layers = 0
        self.emb_width = 4 * config.base_width

    def embedding(self, in_width: int) -> nn.Sequential:
        return nn.Sequential(Linear(in_width, self.emb_width), nn.SiLU(), Linear(self.emb_width, self.emb_width))

    def input_blocks(self) -> Iterator[Block]:
        config = self._config
        yield self._kept(Block([Conv2d(config.in_channels, config.base_width, 3, padding=1)]))
        for level, (width, depths) in enumerate(zip(config.level_widths, config.input_depths, strict=True)):
            if level > 0:
                yield self._kept(Block([Downsample(self._width)]))
            for depth in depths:
                yield self._kept(Block([self._residual(self._width, width), *self._transformer(depth)]))

    def middle_block(self) -> Block:
        members: list[nn.Module] = []
        if self._config.middle_residuals > 0:
            members += [self._residual(self._width, self._width), *self._transformer(self._config.middle_depth)]
        if self._config.middle_residuals > 1:
            members += [self._residual(self._width, self._width)]
        return Block(members)

    def output_blocks(self) -> Iterator[Block]:
        levels = list(zip(self._config.level_widths, self._config.output_depths, strict=True))
        for level, (width, depths) in reversed(list(enumerate(levels))):
            for i, depth in enumerate(depths):
                members = [self._residual(self._width + self._skips.pop(), width), *self._transformer(depth)]
                if level > 0 and i == len(depths) - 1:
                    members.append(Upsample(width))
                yield Block(members)

    def _kept(self, block: Block) -> Block:
        self._skips.append(self._width)
        return block

    @property
    def skips(self) -> tuple[int, ...]:
        """Widths of the skip connections that input blocks have left and output blocks have not taken."""
        return tuple(self._skips)

    def _residual(self, in_width: int, out_width: int) -> ResidualBlock:
        self._width = out_width
        return ResidualBlock(in_width, out_width, self.emb_width)

    def _transformer(self, depth: int) -> list[nn.Module]:
        if depth == 0:
            return []
        config = self._config
        transformer = SpatialTransformer(
            self._width,
            config.context_width,
            heads_for(self._width, config.heads, config.head_width),
            depth,
            linear_projection=config.linear_projection,
            float32_scores=config.float32_scores,
            layers_before=self._layers,
        )
        self._layers += depth
        return [transformer]
