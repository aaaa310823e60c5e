"""The transformer of latent diffusion UNets (arXiv:2112.10752): tokens are the positions of a feature map."""

from dataclasses import replace

from torch import Tensor, nn

from diffusion.ops.attention import attention
from diffusion.ops.layers import Conv2d, Linear, linear, linear_gelu
from diffusion.patches.hooks import Attention as AttentionName
from diffusion.patches.hooks import BlockInfo, ModelHooks


class Attention(nn.Module):
    """Multi-head attention of tokens to a context, or to themselves."""

    def __init__(self, width: int, context_width: int, heads: int, float32_scores: bool):
        super().__init__()
        self.heads = heads
        self.float32_scores = float32_scores
        self.to_q = Linear(width, width, bias=False)
        self.to_k = Linear(context_width, width, bias=False)
        self.to_v = Linear(context_width, width, bias=False)
        self.to_out = nn.Sequential(Linear(width, width))

    def forward(self, name: AttentionName, x: Tensor, context: Tensor, hooks: ModelHooks, info: BlockInfo) -> Tensor:
        """x: (B, T, D). context: (B, S, C). Returns (B, T, D)."""
        key_from, value_from = context, context
        for hook in hooks.attn1_inputs if name == "attn1" else hooks.attn2_inputs:
            x, key_from, value_from = hook(x, key_from, value_from, info)
        q, k, v = self.to_q(x), self.to_k(key_from), self.to_v(value_from)
        if replacement := hooks.replacement(name, info):
            out = replacement(q, k, v, info)
        else:
            bias = info.call.context_bias if name == "attn2" else None
            out = attention(q, k, v, self.heads, float32_scores=self.float32_scores, bias=bias)
        out = self.to_out(out)
        for hook in hooks.attn1_outputs if name == "attn1" else hooks.attn2_outputs:
            out = hook(out, info)
        return out


class GatedGelu(nn.Module):
    """GEGLU (arXiv:2002.05202): half of a projection, gated by the exact GELU of the other half."""

    def __init__(self, width: int, out_width: int):
        super().__init__()
        self.proj = Linear(width, 2 * out_width)

    def forward(self, x: Tensor) -> Tensor:
        weights, biases = self.proj.weight_in(x.dtype).chunk(2), self.proj.bias.chunk(2)
        return linear(x, weights[0], biases[0]) * linear_gelu(x, weights[1], biases[1])


class FeedForward(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        # net.1 was dropout in training.
        self.net = nn.Sequential(GatedGelu(width, 4 * width), nn.Identity(), Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, attention to the context, feed-forward; each on normed tokens and added."""

    def __init__(self, width: int, context_width: int, heads: int, float32_scores: bool):
        super().__init__()
        self.attn1 = Attention(width, width, heads, float32_scores)
        self.ff = FeedForward(width)
        self.attn2 = Attention(width, context_width, heads, float32_scores)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor, hooks: ModelHooks, info: BlockInfo) -> Tensor:
        """x: (B, T, D). context: (B, S, C)."""
        normed = self.norm1(x)
        x = x + self.attn1("attn1", normed, normed, hooks, info)
        for hook in hooks.between_attentions:
            x = hook(x, info)
        x = x + self.attn2("attn2", self.norm2(x), context, hooks, info)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """Transformer layers over the positions of a feature map, added to it."""

    def __init__(
        self,
        width: int,
        context_width: int,
        heads: int,
        depth: int,
        *,
        linear_projection: bool,
        float32_scores: bool = False,
        layers_before: int = 0,
    ):
        """layers_before: transformer layers that the network runs before these."""
        super().__init__()
        self.heads = heads
        self.layers_before = layers_before
        self.norm = nn.GroupNorm(32, width, eps=1e-6)
        # A 1x1 convolution is a linear layer over positions; checkpoints of SD 1.x store it as a convolution.
        self.proj_in = Linear(width, width) if linear_projection else Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(width, context_width, heads, float32_scores) for _ in range(depth)
        )
        self.proj_out = Linear(width, width) if linear_projection else Conv2d(width, width, 1)

    def forward(self, x: Tensor, context: Tensor, hooks: ModelHooks, info: BlockInfo) -> Tensor:
        """x: (B, D, H, W). context: (B, S, C)."""
        height, width = x.shape[2:]
        tokens = _project(self.proj_in, self.norm(x).flatten(2).transpose(1, 2))
        head_width = tokens.shape[2] // self.heads
        for i, block in enumerate(self.transformer_blocks):
            here = replace(
                info,
                size=(height, width),
                transformer=i,
                transformer_total=self.layers_before + i,
                heads=self.heads,
                head_width=head_width,
            )
            tokens = block(tokens, context, hooks, here)
        tokens = _project(self.proj_out, tokens)
        return x + tokens.transpose(1, 2).reshape(x.shape)


def _project(layer: Linear | Conv2d, tokens: Tensor) -> Tensor:
    """Applies a linear layer, or a 1x1 convolution as the linear layer it is, to (B, T, D)."""
    return linear(tokens, layer.weight_in(tokens.dtype).flatten(1), layer.bias)


def heads_for(width: int, heads: int | None, head_width: int | None) -> int:
    """Number of attention heads at a width, from a fixed number or a fixed width of one head."""
    if heads is None:
        if head_width is None:
            raise ValueError("Attention needs a number of heads or the width of one.")
        heads = width // head_width
    if heads < 1 or width % heads:
        raise ValueError(f"Attention of width {width} cannot be split into {heads} heads.")
    return heads
