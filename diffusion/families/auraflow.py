"""AuraFlow (fal): rectified flow on SDXL's latents, guided by Pile-T5."""

from diffusion import latents
from diffusion.checkpoints.joins import Joins, Piece, joins_of, table
from diffusion.families.family import Family, Layout, Shapes, always
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.models.auraflow import AuraFlow, read_auraflow_config

PILE_T5 = TextEncoderSpec(
    "pile_t5xl",
    ("text_encoders.pile_t5xl.transformer.",),
    width=2048,
    kind="t5",
    pad_token=1,
    end_token=2,
    start_token=None,
    least_tokens=256,
    activation="gelu_tanh",
    tokenizer="pile_t5",
    zeroed_padding=True,
)

_DOUBLE, _SINGLE = "double_layers.{i}.", "single_layers.{i}."
_JOINT, _ALONE = "joint_transformer_blocks.{i}.", "single_transformer_blocks.{i}."
_MLP = {"c_fc1": "linear_1", "c_fc2": "linear_2", "c_proj": "out_projection"}
_OF_PICTURE = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}
_OF_TEXT = {"q": "add_q_proj", "k": "add_k_proj", "v": "add_v_proj", "o": "to_add_out"}
MODULES = table(
    {
        "init_x_linear": "pos_embed.proj",
        "positional_encoding": "pos_embed.pos_embed",
        "register_tokens": "register_tokens",
        "t_embedder.mlp.0": "time_step_proj.linear_1",
        "t_embedder.mlp.2": "time_step_proj.linear_2",
        "cond_seq_linear": "context_embedder",
        **{f"{_DOUBLE}attn.w2{ours}": f"{_JOINT}attn.{theirs}" for ours, theirs in _OF_PICTURE.items()},
        **{f"{_DOUBLE}attn.w1{ours}": f"{_JOINT}attn.{theirs}" for ours, theirs in _OF_TEXT.items()},
        **{f"{_DOUBLE}mlpX.{ours}": f"{_JOINT}ff.{theirs}" for ours, theirs in _MLP.items()},
        **{f"{_DOUBLE}mlpC.{ours}": f"{_JOINT}ff_context.{theirs}" for ours, theirs in _MLP.items()},
        f"{_DOUBLE}modX.1": f"{_JOINT}norm1.linear",
        f"{_DOUBLE}modC.1": f"{_JOINT}norm1_context.linear",
        **{f"{_SINGLE}attn.w1{ours}": f"{_ALONE}attn.{theirs}" for ours, theirs in _OF_PICTURE.items()},
        **{f"{_SINGLE}mlp.{ours}": f"{_ALONE}ff.{theirs}" for ours, theirs in _MLP.items()},
        f"{_SINGLE}modCX.1": f"{_ALONE}norm1.linear",
        # They say scale and shift where the published network says shift and scale.
        "modF.1": (Piece("norm_out.linear", half=1), Piece("norm_out.linear", half=0)),
        "final_linear": "proj_out",
    }
)


def _from_diffusers(shapes: Shapes) -> Joins | None:
    return joins_of(MODULES, shapes) if "joint_transformer_blocks.0.attn.add_q_proj.weight" in shapes else None


AURAFLOW = Family(
    name="AuraFlow",
    recognise=read_auraflow_config,
    build=AuraFlow,
    variant=always(PredictionSpec("flow", FlowSchedule(shift=1.73, multiplier=1.0)), latents.SDXL),
    text_encoders=(PILE_T5,),
    attends_jointly=True,
    fits_float16=False,
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
)
