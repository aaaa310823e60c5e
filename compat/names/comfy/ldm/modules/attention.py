"""Attention, and the blocks of UNets. The blocks are classes of ours: packs match modules by them."""

import torch
from torch import nn

from comfy import ops as comfy_ops
from diffusion.models.transformer import Attention, FeedForward, GatedGelu, SpatialTransformer, TransformerBlock

ops = comfy_ops.disable_weight_init

CrossAttention = Attention
BasicTransformerBlock = TransformerBlock
GEGLU = GatedGelu
SpatialTransformer = SpatialTransformer
FeedForward = FeedForward


class SpatialVideoTransformer(SpatialTransformer):
    """Networks with layers along time are not offered; the class is there to be compared with."""


def exists(val):
    return val is not None


def default(val, d):
    return d if val is None else val


def get_attn_precision(attn_precision, current_dtype=None):
    return attn_precision


def attention_pytorch(
    q, k, v, heads, mask=None, attn_precision=None, skip_reshape=False, skip_output_reshape=False, **kwargs
):
    """(B, T, heads * D), or with skip_reshape (B, heads, T, D); the result likewise by skip_output_reshape.

    mask: booleans or numbers to add, (T, S), (B, T, S) or (B, heads, T, S).
    """
    if not skip_reshape:
        q, k, v = (x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2) for x in (q, k, v))
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.ndim == 2 else mask
        mask = mask.unsqueeze(1) if mask.ndim == 3 else mask
        mask = mask if mask.dtype == torch.bool else mask.to(q.dtype)
    half = attn_precision == torch.float32 and q.dtype == torch.float16
    dtype = v.dtype
    if half:
        q, k, v = q.float(), k.float(), v.float()
    scale = kwargs.get("scale")
    out = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, dropout_p=0.0, is_causal=False, scale=scale
    )
    out = out.to(dtype)
    return out if skip_output_reshape else out.transpose(1, 2).flatten(2)


# The ways of saving memory that other names stand for are torch's own today.
attention_basic = attention_sub_quad = attention_split = attention_xformers = attention_sage = attention_flash = (
    attention_pytorch
)
optimized_attention = attention_pytorch
optimized_attention_masked = attention_pytorch

REGISTERED_ATTENTION_FUNCTIONS = {"pytorch": attention_pytorch}


def register_attention_function(name, func):
    REGISTERED_ATTENTION_FUNCTIONS.setdefault(name, func)


def get_attention_function(name, default=None):
    return REGISTERED_ATTENTION_FUNCTIONS.get(name, default)


def wrap_attn(func):
    return func


def optimized_attention_for_device(device, mask=False, small_input=False):
    return attention_pytorch


def zero_module(module):
    for parameter in module.parameters():
        parameter.detach().zero_()
    return module


def Normalize(in_channels, dtype=None, device=None):
    return nn.GroupNorm(num_groups=32, num_channels=in_channels, eps=1e-6, affine=True, dtype=dtype, device=device)
