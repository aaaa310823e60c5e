"""PixArt sigma (arXiv:2403.04692): eps-prediction on SDXL's latents, guided by T5 alone."""

from dataclasses import replace

from diffusion import latents
from diffusion.checkpoints.joins import Joins, joins_of, table
from diffusion.families.family import Family, Layout, Shapes, always
from diffusion.families.prediction import BetaSchedule, PredictionSpec
from diffusion.families.sd3 import T5XXL as SD3_T5XXL
from diffusion.models.pixart import PixArt, read_pixart_config

PREDICTION = PredictionSpec("eps", BetaSchedule(0.0001, 0.02, "linear"))
# The network never saw padding: the prompt is as long as it is.
T5XXL = replace(SD3_T5XXL, least_tokens=1, empty_ends=False)

_TIME = "adaln_single.emb.timestep_embedder."
_BLOCK, _THEIRS = "blocks.{i}.", "transformer_blocks.{i}."
MODULES = table(
    {
        "x_embedder.proj": "pos_embed.proj",
        "t_embedder.mlp.0": f"{_TIME}linear_1",
        "t_embedder.mlp.2": f"{_TIME}linear_2",
        "t_block.1": "adaln_single.linear",
        "y_embedder.y_proj.fc1": "caption_projection.linear_1",
        "y_embedder.y_proj.fc2": "caption_projection.linear_2",
        f"{_BLOCK}attn.qkv": [f"{_THEIRS}attn1.to_{q}" for q in "qkv"],
        f"{_BLOCK}attn.proj": f"{_THEIRS}attn1.to_out.0",
        f"{_BLOCK}cross_attn.q_linear": f"{_THEIRS}attn2.to_q",
        f"{_BLOCK}cross_attn.kv_linear": [f"{_THEIRS}attn2.to_{q}" for q in "kv"],
        f"{_BLOCK}cross_attn.proj": f"{_THEIRS}attn2.to_out.0",
        f"{_BLOCK}mlp.fc1": f"{_THEIRS}ff.net.0.proj",
        f"{_BLOCK}mlp.fc2": f"{_THEIRS}ff.net.2",
        f"{_BLOCK}scale_shift_table": f"{_THEIRS}scale_shift_table",
        "final_layer.linear": "proj_out",
        "final_layer.scale_shift_table": "scale_shift_table",
    }
)


def _from_diffusers(shapes: Shapes) -> Joins | None:
    known = "adaln_single.linear.weight" in shapes and "pos_embed.proj.bias" in shapes
    return joins_of(MODULES, shapes) if known else None


PIXART_SIGMA = Family(
    name="PixArt sigma",
    recognise=read_pixart_config,
    build=PixArt,
    variant=always(PREDICTION, latents.SDXL),
    text_encoders=(T5XXL,),
    loader_types=("pixart",),
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
    activation_factor=0.5,
)
