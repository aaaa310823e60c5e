"""Attention of Cosmos-Predict2: to be matched by type, or built of a pack's own layers."""

import torch

from comfy import ops as comfy_ops
from comfy.ldm.modules.attention import optimized_attention
from comfy.rmsnorm import RMSNorm


def torch_attention_op(q, k, v, transformer_options={}):
    """(B, T, heads, D) → (B, T, heads * D)."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return optimized_attention(q, k, v, q.shape[1], skip_reshape=True)


class Attention(torch.nn.Module):
    """Multi-head attention with normed queries and keys; to itself without a context width."""

    def __init__(
        self, query_dim, context_dim=None, n_heads=8, head_dim=64, dropout=0.0, device=None, dtype=None, operations=None
    ):
        super().__init__()
        layers = operations or comfy_ops.disable_weight_init
        more = {"device": device, "dtype": dtype}
        width = n_heads * head_dim
        self.is_selfattn = context_dim is None
        context_dim = query_dim if context_dim is None else context_dim
        self.n_heads, self.head_dim, self.query_dim, self.context_dim = n_heads, head_dim, query_dim, context_dim
        self.q_proj = layers.Linear(query_dim, width, bias=False, **more)
        self.q_norm = RMSNorm(head_dim, eps=1e-6, **more)
        self.k_proj = layers.Linear(context_dim, width, bias=False, **more)
        self.k_norm = RMSNorm(head_dim, eps=1e-6, **more)
        self.v_proj = layers.Linear(context_dim, width, bias=False, **more)
        self.v_norm = torch.nn.Identity()
        self.output_proj = layers.Linear(width, query_dim, bias=False, **more)
        self.output_dropout = torch.nn.Dropout(dropout) if dropout > 1e-4 else torch.nn.Identity()
        self.attn_op = torch_attention_op

    def compute_qkv(self, x, context=None, rope_emb=None):
        """Each (B, T, heads, D)."""
        context = x if context is None else context
        q, k, v = self.q_proj(x), self.k_proj(context), self.v_proj(context)
        q, k, v = (one.unflatten(-1, (self.n_heads, self.head_dim)) for one in (q, k, v))
        q, k = self.q_norm(q), self.k_norm(k)
        if self.is_selfattn and rope_emb is not None:
            from comfy.ldm.flux.math import apply_rope1

            q, k = apply_rope1(q, rope_emb), apply_rope1(k, rope_emb)
        return q, k, self.v_norm(v)

    def compute_attention(self, q, k, v, transformer_options={}):
        return self.output_dropout(self.output_proj(self.attn_op(q, k, v)))

    def forward(self, x, context=None, rope_emb=None, transformer_options={}):
        return self.compute_attention(*self.compute_qkv(x, context, rope_emb))
