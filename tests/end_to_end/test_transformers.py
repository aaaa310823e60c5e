"""The graphs that people share for SD 3.5 and Flux run over HTTP: all in one and in parts, with LoRA and ControlNet."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from diffusers.models.controlnets.controlnet_sd3 import SD3ControlNetModel
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from diffusion.families.flux import FLUX
from diffusion.families.sd3 import SD3
from tests.diffusion.models.oracle import randomised
from tests.diffusion.tiny_transformers import FLUX_CONFIG, SD3_CONFIG, T5_WIDTH, tiny_transformer
from tests.end_to_end.client import Client
from tests.end_to_end.conftest import Server


def picture_of(client: Client, graph: dict[str, Any]) -> Image.Image:
    prompt_id, messages = client.run(graph)
    record = client.history(prompt_id)
    assert record["status"]["status_str"] == "success", record["status"]["messages"]
    assert [m for m in messages if isinstance(m, bytes)], "no previews came"
    [image] = record["outputs"]["save"]["images"]
    return Image.open(BytesIO(client.view(image)))


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def save(path: Path, tensors: dict[str, Tensor]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path.name


def factors(out: int, into: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(out)
    return torch.randn(out, 2, generator=generator), torch.randn(2, into, generator=generator)


@pytest.fixture(scope="module")
def sd3(server: Server) -> dict[str, str]:
    models, width = server.base / "models", SD3_CONFIG.width
    control: Any = SD3ControlNetModel(
        num_layers=2,
        num_attention_heads=width // 64,
        attention_head_dim=64,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=width,
        pooled_projection_dim=SD3_CONFIG.vector_width,
        pos_embed_max_size=16,
        sample_size=16,
    )
    up, down = factors(width, width)
    name = "transformer.transformer_blocks.0.attn.to_k"
    return {
        "checkpoint": save(models / "checkpoints" / "tiny-sd35.safetensors", tiny_transformer(SD3).checkpoint()),
        "control": save(models / "controlnet" / "tiny-sd35.safetensors", dict(randomised(control).state_dict())),
        "lora": save(
            models / "loras" / "tiny-sd35.safetensors", {f"{name}.lora_B.weight": up, f"{name}.lora_A.weight": down}
        ),
    }


@pytest.fixture(scope="module")
def flux(server: Server) -> dict[str, str]:
    models, made, width = server.base / "models", tiny_transformer(FLUX), FLUX_CONFIG.width
    control: Any = FluxControlNetModel(
        num_layers=1,
        num_single_layers=1,
        num_attention_heads=FLUX_CONFIG.heads,
        attention_head_dim=FLUX_CONFIG.head_width,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=FLUX_CONFIG.vector_width or 0,
        axes_dims_rope=[*FLUX_CONFIG.axes],
        guidance_embeds=True,
    )
    up, down = factors(3 * width, width)
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    return {
        "network": save(models / "diffusion_models" / "tiny-flux.safetensors", made.network),
        "clip_l": save(models / "text_encoders" / "tiny-clip.safetensors", made.text_encoders["clip_l"]),
        "t5xxl": save(models / "text_encoders" / "tiny-t5.safetensors", made.text_encoders["t5xxl"]),
        "vae": save(models / "vae" / "tiny-ae.safetensors", made.autoencoder),
        "control": save(models / "controlnet" / "tiny-flux.safetensors", dict(randomised(control).state_dict())),
        "lora": save(
            models / "loras" / "tiny-flux.safetensors",
            {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down, f"{name}.alpha": torch.tensor(2.0)},
        ),
    }


def sd35_graph(files: dict[str, str], lora: float, control: float) -> dict[str, Any]:
    return {
        "load": node("CheckpointLoaderSimple", ckpt_name=files["checkpoint"]),
        "lora": node(
            "LoraLoader",
            model=["load", 0],
            clip=["load", 1],
            lora_name=files["lora"],
            strength_model=lora,
            strength_clip=lora,
        ),
        "shift": node("ModelSamplingSD3", model=["lora", 0], shift=3.0),
        "skip": node("SkipLayerGuidanceSD3", model=["shift", 0], layers="1", scale=2.5, start_percent=0, end_percent=1),
        "positive": node("CLIPTextEncode", text="a (red:1.2) star", clip=["lora", 1]),
        "negative": node("CLIPTextEncode", text="old dog", clip=["lora", 1]),
        "hint": node("EmptyImage", width=64, height=64, batch_size=1, color=4886754),
        "net": node("ControlNetLoader", control_net_name=files["control"]),
        "control": node(
            "ControlNetApplySD3",
            positive=["positive", 0],
            negative=["negative", 0],
            control_net=["net", 0],
            vae=["load", 2],
            image=["hint", 0],
            strength=control,
            start_percent=0.0,
            end_percent=1.0,
        ),
        "latent": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
        "sample": node(
            "KSampler",
            model=["skip", 0],
            positive=["control", 0],
            negative=["control", 1],
            latent_image=["latent", 0],
            seed=1,
            steps=2,
            cfg=4.5,
            sampler_name="dpmpp_2m",
            scheduler="sgm_uniform",
            denoise=1.0,
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["load", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="sd35"),
    }


def flux_graph(files: dict[str, str], lora: float, control: float) -> dict[str, Any]:
    return {
        "load": node("UNETLoader", unet_name=files["network"], weight_dtype="default"),
        "clips": node("DualCLIPLoader", clip_name1=files["clip_l"], clip_name2=files["t5xxl"], type="flux"),
        "vae": node("VAELoader", vae_name=files["vae"]),
        "lora": node("LoraLoaderModelOnly", model=["load", 0], lora_name=files["lora"], strength_model=lora),
        "shift": node("ModelSamplingFlux", model=["lora", 0], max_shift=1.15, base_shift=0.5, width=64, height=64),
        "positive": node("CLIPTextEncodeFlux", clip=["clips", 0], clip_l="star", t5xxl="a red star", guidance=3.5),
        "guided": node("FluxGuidance", conditioning=["positive", 0], guidance=2.5),
        "hint": node("EmptyImage", width=64, height=64, batch_size=1, color=4886754),
        "scaled": node("ImageScale", image=["hint", 0], upscale_method="lanczos", width=64, height=64, crop="disabled"),
        "reference": node("VAEEncode", pixels=["scaled", 0], vae=["vae", 0]),
        "followed": node("ReferenceLatent", conditioning=["guided", 0], latent=["reference", 0]),
        "net": node("ControlNetLoader", control_net_name=files["control"]),
        "control": node(
            "ControlNetApplyAdvanced",
            positive=["followed", 0],
            negative=["positive", 0],
            control_net=["net", 0],
            image=["hint", 0],
            strength=control,
            start_percent=0.0,
            end_percent=1.0,
            vae=["vae", 0],
        ),
        "noise": node("RandomNoise", noise_seed=1),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "sigmas": node("BasicScheduler", model=["shift", 0], scheduler="simple", steps=2, denoise=1.0),
        "guider": node("BasicGuider", model=["shift", 0], conditioning=["control", 0]),
        "latent": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
        "sample": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["vae", 0]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="flux"),
    }


@pytest.mark.parametrize("line", ["sd35", "flux"])
def test_words_become_a_picture_that_lora_and_control_change(
    line: str, sd3: dict[str, str], flux: dict[str, str], client: Client
):
    files, graph = (sd3, sd35_graph) if line == "sd35" else (flux, flux_graph)
    plain = picture_of(client, graph(files, 0.0, 0.0))
    assert plain.size == (64, 64)
    adapted = picture_of(client, graph(files, 1.0, 0.0))
    controlled = picture_of(client, graph(files, 0.0, 1.0))
    pictures = [picture.tobytes() for picture in (plain, adapted, controlled)]
    assert len(set(pictures)) == 3
