"""Says in a few words what a file of tensors looks like, for messages about files that were put in the wrong place."""

import re
from collections.abc import Mapping

from diffusion.checkpoints.header import Shape

# Tensor name -> what the file is. In this order; the first pattern that is found decides.
_TELLTALES: tuple[tuple[str, str], ...] = (
    (r"lora_(up|down|A|B|mid)\b|lora\.(up|down)\.|_lora\.(up|down)\.|lora_linear_layer|hada_w1|lokr_w[12]", "a LoRA"),
    (r"\.oft_blocks$|\.(diff|diff_b)$|\.a1\.weight$", "a LoRA"),
    (r"(^|\.)lora_controlnet$", "a control-LoRA"),
    (r"^ip_adapter\.|^image_proj\.", "an IP-Adapter"),
    (r"(^|\.)position_net\.", "a GLIGEN model"),
    (r"^style_embedding$|^redux_(up|down)\.", "a style model"),
    (r"^string_to_param|^emb_params$|^bundle_emb\.", "a textual inversion embedding"),
    (r"^control_model\.|(^|\.)zero_convs\.|controlnet_cond_embedding|input_hint_block", "a ControlNet"),
    (r"^(adapter\.)?body\.\d+\.(resnets\.|body\.|in_conv\.|block1\.)", "a T2I-Adapter"),
    (r"(^|\.)txt_norm\.weight$", "a Qwen-Image model"),
    (r"joint_blocks\.0\.context_block\.|^transformer_blocks\.0\.attn\.add_q_proj\.", "an SD3 model"),
    (r"distilled_guidance_layer\.", "a Chroma model"),
    (r"double_blocks\.0\.img_attn\.", "a Flux model"),
    (r"double_layers\.0\.attn\.w1q\.", "an AuraFlow model"),
    (r"(^|\.)mlp_t5\.0\.", "a HunyuanDiT model"),
    (r"individual_token_refiner\.", "a HunyuanVideo model"),
    (r"(^|\.)head\.modulation$", "a Wan video model"),
    (r"(^|\.)cap_embedder\.1\.", "a Lumina 2 or Z-Image model"),
    (r"(^|\.)t_block\.1\.|adaln_single\.", "a PixArt or LTX model"),
    (r"\.time_stack\.|\.time_mixer\.", "a Stable Video Diffusion model"),
    (r"(^|\.)input_blocks\.0\.0\.|^down_blocks\.0\.resnets\.", "a diffusion UNet"),
    (r"^taesd_(en|de)coder\.|^\d+\.conv\.0\.bias$|^decoder\.layers\.0\.bias$", "a tiny autoencoder (TAESD)"),
    (r"(^|\.)decoder\.(conv_in|up_blocks|middle)\b", "a VAE"),
    (r"^conv_first\.|^model\.0\.weight$|^body\.0\.weight$", "an upscaler"),
    (r"^vision_model\.|^visual\.", "a CLIP vision encoder"),
    (r"text_model\.encoder\.layers\.|transformer\.resblocks\.", "a CLIP text encoder"),
    (r"(^|\.)encoder\.block\.0\.layer\.", "a T5 text encoder"),
    (r"^model\.layers\.0\.self_attn\.", "a language model used as text encoder"),
)


def describe(shapes: Mapping[str, Shape]) -> str:
    """What the file looks like ("a LoRA", "a VAE", …), or its first names where nothing is known about it."""
    for pattern, what in _TELLTALES:
        telltale = re.compile(pattern)
        if any(telltale.search(name) for name in shapes):
            return what
    if shapes and len(shapes) <= 4 and all(len(shape) in (1, 2) for shape in shapes.values()):
        return "a textual inversion embedding"
    listed = ", ".join(sorted(shapes)[:3])
    return f"something unknown ({len(shapes)} tensors: {listed}, …)" if shapes else "an empty file"
