"""Z-Image (arXiv:2511.22699): rectified flow on Flux's latents, guided by Qwen3."""

from diffusion import latents
from diffusion.checkpoints.joins import Joins, joins_of, table
from diffusion.families.family import Family, Layout, Shapes, always
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.models.z_image import ZImage, read_z_image_config

QWEN3 = TextEncoderSpec(
    "qwen3_4b",
    ("text_encoders.qwen3_4b.transformer.",),
    width=2560,
    kind="language_model",
    hidden_state=-2,
    final_norm=False,
    pad_token=151643,
    start_token=None,
    end_token=None,
    head_width=128,
    tokenizer="qwen3",
    template="<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
)
_SAME = ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2", "adaLN_modulation.0")
_PARTS = ("noise_refiner.{i}.", "context_refiner.{i}.", "layers.{i}.")
MODULES = table(
    {
        "x_embedder": "all_x_embedder.2-1",
        "final_layer.linear": "all_final_layer.2-1.linear",
        "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
        **{n: n for n in ("t_embedder.mlp.0", "t_embedder.mlp.2", "cap_embedder.0", "cap_embedder.1")},
        **{n: n for n in ("x_pad_token", "cap_pad_token")},
        **{f"{p}attention.qkv": [f"{p}attention.to_{q}" for q in "qkv"] for p in _PARTS},
        **{f"{p}attention.out": f"{p}attention.to_out.0" for p in _PARTS},
        **{f"{p}attention.{q}_norm": f"{p}attention.norm_{q}" for p in _PARTS for q in "qk"},
        **{f"{p}feed_forward.w{i}": f"{p}feed_forward.w{i}" for p in _PARTS for i in (1, 2, 3)},
        **{f"{p}{n}": f"{p}{n}" for p in _PARTS for n in _SAME},
    }
)


def _from_diffusers(shapes: Shapes) -> Joins | None:
    return joins_of(MODULES, shapes) if "all_x_embedder.2-1.weight" in shapes else None


Z_IMAGE = Family(
    name="Z-Image",
    recognise=read_z_image_config,
    build=ZImage,
    variant=always(PredictionSpec("flow", FlowSchedule(shift=3.0, multiplier=1.0)), latents.FLUX),
    text_encoders=(QWEN3,),
    loader_types=("z_image", "lumina2"),
    attends_jointly=True,
    fits_float16=False,
    layouts=(Layout("diffusers", joins=_from_diffusers),),
    modules=MODULES,
    activation_factor=1.2,
)
