"""Linear and convolution layers that know faster ways to compute on a CPU, and may keep their weights packed.

Weights and names are those of torch's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffusion.ops import onednn
from diffusion.ops.stored import KeepsWeight


class Linear(KeepsWeight, nn.Linear):
    def weight_shape(self) -> torch.Size:
        return torch.Size((self.out_features, self.in_features))

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight_in(input.dtype), self.bias)


class Conv2d(KeepsWeight, nn.Conv2d):
    """A convolution that on a CPU stores its weights channels-last from the first use on; feature maps follow.

    Of 1x1 and of small, wide feature maps it makes a matrix product. oneDNN rearranges the weights of a convolution
    at every call: for 1280 x 1280 channels that takes 28 ms, and the convolution of two 8 x 8 maps itself 17 ms. A
    product with the patches of the maps takes 18 ms and needs no rearranging.
    """

    def weight_shape(self) -> torch.Size:
        return torch.Size((self.out_channels, self.in_channels // self.groups, *self.kernel_size))

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight_in(input.dtype)
        if input.dim() != 4 or self.groups != 1 or not onednn.usable(input, weight, self.bias):
            return self._conv_forward(input, weight, self.bias)
        if self.kernel_size != (1, 1) and not weight.is_contiguous(memory_format=torch.channels_last):
            last = weight.detach().contiguous(memory_format=torch.channels_last)
            if weight is self.weight:
                # Not when loading: weights stay mapped from their file until they are needed.
                self.weight.data = last
            weight = last
        if self._is_product(input):
            return self._as_product(input, weight)
        return self._conv_forward(input, weight, self.bias)

    def _is_product(self, x: Tensor) -> bool:
        if not x.is_contiguous(memory_format=torch.channels_last):
            return False
        if self.kernel_size == (1, 1):
            return self.stride == (1, 1) and self.padding == (0, 0)
        rows = x.shape[0] * x.shape[2] * x.shape[3] // (self.stride[0] * self.stride[1])
        plain = self.kernel_size == (3, 3) and self.padding == (1, 1) and self.dilation == (1, 1)
        return plain and rows < self.out_channels

    def _as_product(self, x: Tensor, weight: Tensor) -> Tensor:
        rows = x.movedim(1, -1)
        if self.kernel_size != (1, 1):
            padded = F.pad(rows, (0, 0, 1, 1, 1, 1))
            patches = padded.unfold(1, 3, self.stride[0]).unfold(2, 3, self.stride[1])
            rows = patches.movedim(3, -1).flatten(3)  # (B, H, W, 3 * 3 * C)
        matrix = weight.movedim(1, -1).flatten(1)
        return onednn.linear(rows, matrix, self.bias).movedim(-1, 1)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.linear`, by the fastest way."""
    if onednn.usable(x, weight, bias) and weight.is_contiguous():
        return onednn.linear(x, weight, bias)
    return F.linear(x, weight, bias)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`F.gelu(F.linear(...))`, in one pass where possible."""
    if onednn.usable(x, weight, bias) and weight.is_contiguous():
        return onednn.linear(x, weight, bias, activation="gelu")
    return F.gelu(F.linear(x, weight, bias))


def keeping(layer: nn.Module) -> KeepsWeight | None:
    """The layer as one that may keep its weight packed; one of torch's own becomes one of ours. None for others."""
    if type(layer) is nn.Linear:
        layer.__class__ = Linear
    elif type(layer) is nn.Conv2d:
        layer.__class__ = Conv2d
    return layer if isinstance(layer, KeepsWeight) else None
