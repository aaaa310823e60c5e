"""Stable Diffusion 3 and 3.5 (arXiv:2403.03206): rectified flow, MMDiT, three text encoders of which any will do."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion import latents
from diffusion.checkpoints.joins import Joins, Piece, joins_of, table
from diffusion.families.family import Family, Layout, Shapes, always
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.families.size_vector import pooled_alone
from diffusion.families.text_encoders import Encoded, TextEncoderSpec, TextStates
from diffusion.models.mmdit import MMDiT, read_mmdit_config

CLIP_L = TextEncoderSpec(
    "clip_l",
    ("text_encoders.clip_l.transformer.",),
    width=768,
    hidden_state=-2,
    final_norm=False,
    pooled="plain",
)
CLIP_G = TextEncoderSpec(
    "clip_g",
    ("text_encoders.clip_g.transformer.",),
    width=1280,
    hidden_state=-2,
    final_norm=False,
    pooled="projected",
    pad_token=0,
    activation="gelu",
)
T5XXL = TextEncoderSpec(
    "t5xxl",
    ("text_encoders.t5xxl.transformer.",),
    width=4096,
    kind="t5",
    pad_token=0,
    end_token=1,
    start_token=None,
    least_tokens=77,
    activation="gelu_tanh",
    tokenizer="t5",
)
NO_TEXT_TOKENS = 77

_BLOCK = "joint_blocks.{i}."
_THEIRS = "transformer_blocks.{i}."
MODULES = table(
    {
        "pos_embed": "pos_embed.pos_embed",
        "x_embedder.proj": "pos_embed.proj",
        "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
        "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
        "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
        "context_embedder": "context_embedder",
        f"{_BLOCK}x_block.attn.qkv": [f"{_THEIRS}attn.to_{q}" for q in "qkv"],
        f"{_BLOCK}context_block.attn.qkv": [f"{_THEIRS}attn.add_{q}_proj" for q in "qkv"],
        f"{_BLOCK}x_block.attn2.qkv": [f"{_THEIRS}attn2.to_{q}" for q in "qkv"],
        f"{_BLOCK}x_block.attn.proj": f"{_THEIRS}attn.to_out.0",
        f"{_BLOCK}context_block.attn.proj": f"{_THEIRS}attn.to_add_out",
        f"{_BLOCK}x_block.attn2.proj": f"{_THEIRS}attn2.to_out.0",
        f"{_BLOCK}x_block.attn.ln_q": f"{_THEIRS}attn.norm_q",
        f"{_BLOCK}x_block.attn.ln_k": f"{_THEIRS}attn.norm_k",
        f"{_BLOCK}context_block.attn.ln_q": f"{_THEIRS}attn.norm_added_q",
        f"{_BLOCK}context_block.attn.ln_k": f"{_THEIRS}attn.norm_added_k",
        f"{_BLOCK}x_block.attn2.ln_q": f"{_THEIRS}attn2.norm_q",
        f"{_BLOCK}x_block.attn2.ln_k": f"{_THEIRS}attn2.norm_k",
        f"{_BLOCK}x_block.mlp.fc1": f"{_THEIRS}ff.net.0.proj",
        f"{_BLOCK}x_block.mlp.fc2": f"{_THEIRS}ff.net.2",
        f"{_BLOCK}context_block.mlp.fc1": f"{_THEIRS}ff_context.net.0.proj",
        f"{_BLOCK}context_block.mlp.fc2": f"{_THEIRS}ff_context.net.2",
        f"{_BLOCK}x_block.adaLN_modulation.1": f"{_THEIRS}norm1.linear",
        f"{_BLOCK}context_block.adaLN_modulation.1": f"{_THEIRS}norm1_context.linear",
        # They say scale and shift where the published network says shift and scale.
        "final_layer.adaLN_modulation.1": (Piece("norm_out.linear", half=1), Piece("norm_out.linear", half=0)),
        "final_layer.linear": "proj_out",
    }
)
"""Our modules -> diffusers'."""


def _from_diffusers(shapes: Shapes) -> Joins | None:
    if "transformer_blocks.0.attn.add_q_proj.weight" not in shapes or "pos_embed.proj.weight" not in shapes:
        return None
    joins = joins_of(MODULES, shapes)
    last = max(int(name.split(".")[1]) for name in joins if name.startswith("joint_blocks."))
    for kind in ("weight", "bias"):
        # The last block only reads the text: two parts, and again scale before shift.
        ours = f"joint_blocks.{last}.context_block.adaLN_modulation.1.{kind}"
        name = joins[ours][0].name
        joins[ours] = (Piece(name, half=1), Piece(name, half=0))
    return joins


def sd3_text(states: Mapping[str, TextStates], specs: Mapping[str, TextEncoderSpec]) -> Encoded:
    """Both CLIPs beside each other, filled up with zeros to T5's width; T5's tokens after them.

    An encoder that is not there counts as zeros; where both CLIPs are missing their tokens are left out.
    """
    clip_l, clip_g, t5 = (states.get(name) for name in ("clip_l", "clip_g", "t5xxl"))
    width = specs["t5xxl"].width if t5 is None else t5.hidden.shape[2]
    parts: list[Tensor] = []
    clips = [found.hidden for found in (clip_l, clip_g) if found is not None]
    if clips:
        tokens = min(hidden.shape[1] for hidden in clips)
        left = specs["clip_l"].width if clip_l is None else 0
        beside = F.pad(torch.cat([hidden[:, :tokens] for hidden in clips], dim=2), (left, 0))
        parts.append(F.pad(beside, (0, width - beside.shape[2])))
    if t5 is not None:
        parts.append(t5.hidden)
    pooled = [
        torch.zeros(1, specs[name].width) if found is None or found.pooled is None else found.pooled
        for name, found in (("clip_l", clip_l), ("clip_g", clip_g))
    ]
    context = torch.cat(parts, dim=1) if parts else torch.zeros(1, NO_TEXT_TOKENS, width)
    return Encoded(context, torch.cat(pooled, dim=1))


SD3 = Family(
    name="SD3",
    recognise=read_mmdit_config,
    build=MMDiT,
    variant=always(PredictionSpec("flow", FlowSchedule(shift=3.0)), latents.SD3),
    text_encoders=(CLIP_L, CLIP_G, T5XXL),
    some_text_encoders=True,
    combine=sd3_text,
    loader_types=("sd3",),
    vector=pooled_alone,
    attends_jointly=True,
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
    activation_factor=1.2,
)
