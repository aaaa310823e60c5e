"""Qwen-Image (arXiv:2508.02324): rectified flow on the latents of Wan 2.1's autoencoder, guided by Qwen2.5-VL."""

import math

from diffusion import latents
from diffusion.families.family import Family, always
from diffusion.families.prediction import FlowSchedule, PredictionSpec
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.models.qwen_image import QwenImage, read_qwen_image_config

QWEN25 = TextEncoderSpec(
    "qwen25_7b",
    ("text_encoders.qwen25_7b.transformer.",),
    width=3584,
    kind="language_model",
    pad_token=151643,
    start_token=None,
    end_token=None,
    head_width=128,
    tokenizer="qwen25",
    template=(
        "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, "
        "spatial relationships of the objects and background:<|im_end|>\n"
        "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
    ),
    # Up to the prompt itself.
    skipped_tokens=34,
)

QWEN_IMAGE = Family(
    name="Qwen-Image",
    recognise=read_qwen_image_config,
    build=QwenImage,
    variant=always(
        PredictionSpec("flow", FlowSchedule(shift=math.exp(1.15), multiplier=1.0, steps=10_000)), latents.WAN21
    ),
    text_encoders=(QWEN25,),
    loader_types=("qwen_image",),
    attends_jointly=True,
    fits_float16=False,
    activation_factor=1.8,
)
