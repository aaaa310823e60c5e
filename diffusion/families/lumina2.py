"""Lumina-Image 2.0 (arXiv:2503.21758): rectified flow on Flux's latents, guided by Gemma 2."""

from collections.abc import Mapping, Sequence

from diffusion import latents
from diffusion.checkpoints.joins import Joins, Piece, joins_of, table
from diffusion.families.family import Family, Layout, Shapes, always
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.models.lumina2 import Lumina2, read_lumina2_config

GEMMA2 = TextEncoderSpec(
    "gemma2_2b",
    ("text_encoders.gemma2_2b.transformer.",),
    width=2304,
    kind="language_model",
    hidden_state=-2,
    final_norm=False,
    pad_token=0,
    start_token=2,
    end_token=None,
    least_tokens=1,
    activation="gelu_tanh",
    head_width=256,
    tokenizer="gemma2",
)


def _layer(ours: str, theirs: str, *, timed: bool) -> Mapping[str, str | Sequence[str | Piece]]:
    """A layer's modules; three heads of queries share one of keys and values."""
    norm = "norm1.norm" if timed else "norm1"
    return {
        f"{ours}attention.qkv": [
            Piece(f"{theirs}attn.to_q", share=3),
            f"{theirs}attn.to_k",
            f"{theirs}attn.to_v",
        ],
        f"{ours}attention.out": f"{theirs}attn.to_out.0",
        f"{ours}attention.q_norm": f"{theirs}attn.norm_q",
        f"{ours}attention.k_norm": f"{theirs}attn.norm_k",
        **{f"{ours}feed_forward.w{i}": f"{theirs}feed_forward.linear_{i}" for i in (1, 2, 3)},
        f"{ours}attention_norm1": f"{theirs}{norm}",
        f"{ours}attention_norm2": f"{theirs}norm2",
        f"{ours}ffn_norm1": f"{theirs}ffn_norm1",
        f"{ours}ffn_norm2": f"{theirs}ffn_norm2",
        f"{ours}adaLN_modulation.1": f"{theirs}norm1.linear",
    }


_TIME = "time_caption_embed."
MODULES = table(
    {
        "x_embedder": "x_embedder",
        "t_embedder.mlp.0": f"{_TIME}timestep_embedder.linear_1",
        "t_embedder.mlp.2": f"{_TIME}timestep_embedder.linear_2",
        "cap_embedder.0": f"{_TIME}caption_embedder.0",
        "cap_embedder.1": f"{_TIME}caption_embedder.1",
        **{
            name: theirs
            for part in ("noise_refiner.{i}.", "context_refiner.{i}.", "layers.{i}.")
            for name, theirs in _layer(part, part, timed="context" not in part).items()
        },
        "final_layer.adaLN_modulation.1": "norm_out.linear_1",
        "final_layer.linear": "norm_out.linear_2",
    }
)


def _from_diffusers(shapes: Shapes) -> Joins | None:
    return joins_of(MODULES, shapes) if f"{_TIME}caption_embedder.1.weight" in shapes else None


LUMINA2 = Family(
    name="Lumina 2",
    recognise=read_lumina2_config,
    build=Lumina2,
    variant=always(PredictionSpec("flow", FlowSchedule(shift=6.0, multiplier=1.0)), latents.FLUX),
    text_encoders=(GEMMA2,),
    loader_types=("lumina2",),
    attends_jointly=True,
    fits_float16=False,
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
    activation_factor=1.2,
)
