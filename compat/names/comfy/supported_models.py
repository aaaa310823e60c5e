"""The architectures packs compare with. `models` is in the order in which a file is compared."""

from comfy import latent_formats
from comfy.supported_models_base import BASE
from comfy.supported_models_base import ClipTarget as ClipTarget


def _line(name, latent, unet_config, base=BASE, **more):
    made = type(name, (base,), {"__module__": __name__, "latent_format": latent, "unet_config": unet_config, **more})
    globals()[name] = made
    return made


_UNET = {"model_channels": 320, "use_temporal_attention": False}
models = [
    _line("SD15", latent_formats.SD15, {**_UNET, "context_dim": 768, "use_linear_in_transformer": False, "adm_in_channels": None}, unet_extra_config={"num_heads": 8, "num_head_channels": -1}),
    _line("SD20", latent_formats.SD15, {**_UNET, "context_dim": 1024, "use_linear_in_transformer": True, "adm_in_channels": None}),
    _line("SD21UnclipL", latent_formats.SD15, {**_UNET, "context_dim": 1024, "use_linear_in_transformer": True, "adm_in_channels": 1536}),
    _line("SD21UnclipH", latent_formats.SD15, {**_UNET, "context_dim": 1024, "use_linear_in_transformer": True, "adm_in_channels": 2048}),
    _line("SDXLRefiner", latent_formats.SDXL, {"model_channels": 384, "context_dim": 1280, "adm_in_channels": 2560, "use_temporal_attention": False}),
    _line("SDXL", latent_formats.SDXL, {"model_channels": 320, "context_dim": 2048, "adm_in_channels": 2816, "use_temporal_attention": False}),
    _line("SSD1B", latent_formats.SDXL, {"model_channels": 320, "context_dim": 2048, "transformer_depth": [0, 0, 2, 2, 4, 4]}),
    _line("SVD_img2vid", latent_formats.SD15, {"model_channels": 320, "in_channels": 8, "use_temporal_attention": True}),
    _line("Stable_Cascade_C", latent_formats.SC_Prior, {"stable_cascade_stage": "c"}),
    _line("Stable_Cascade_B", latent_formats.SC_B, {"stable_cascade_stage": "b"}),
    _line("SD3", latent_formats.SD3, {"in_channels": 16, "pos_embed_scaling_factor": None}, sampling_settings={"shift": 3.0}),
    _line("AuraFlow", latent_formats.SDXL, {"cond_seq_dim": 2048}, sampling_settings={"multiplier": 1.0, "shift": 1.73}),
    _line("HunyuanDiT", latent_formats.SDXL, {"image_model": "hydit"}),
    _line("PixArtAlpha", latent_formats.SD15, {"image_model": "pixart_alpha"}),
    _line("PixArtSigma", latent_formats.SDXL, {"image_model": "pixart_sigma"}),
    _line("Flux", latent_formats.Flux, {"image_model": "flux", "guidance_embed": True}),
    _line("FluxSchnell", latent_formats.Flux, {"image_model": "flux", "guidance_embed": False}, sampling_settings={"multiplier": 1.0, "shift": 1.0}),
    _line("GenmoMochi", latent_formats.Mochi, {"image_model": "mochi_preview"}),
    _line("LTXV", latent_formats.LTXV, {"image_model": "ltxv"}),
    _line("HunyuanVideo", latent_formats.HunyuanVideo, {"image_model": "hunyuan_video"}),
    _line("CosmosT2V", latent_formats.Cosmos1CV8x8x8, {"image_model": "cosmos", "in_channels": 16}),
    _line("CosmosI2V", latent_formats.Cosmos1CV8x8x8, {"image_model": "cosmos", "in_channels": 17}),
    _line("CosmosT2IPredict2", latent_formats.Wan21, {"image_model": "cosmos_predict2", "in_channels": 16}),
    _line("Lumina2", latent_formats.Flux, {"image_model": "lumina2"}),
    _line("WAN21_T2V", latent_formats.Wan21, {"image_model": "wan2.1", "model_type": "t2v"}),
    _line("WAN21_I2V", latent_formats.Wan21, {"image_model": "wan2.1", "model_type": "i2v"}),
    _line("WAN21_Vace", latent_formats.Wan21, {"image_model": "wan2.1", "model_type": "vace"}),
    _line("WAN22_T2V", latent_formats.Wan22, {"image_model": "wan2.1", "out_dim": 48}),
    _line("HiDream", latent_formats.Flux, {"image_model": "hidream"}),
    _line("Chroma", latent_formats.Flux, {"image_model": "chroma"}),
    _line("ACEStep", latent_formats.ACEAudio, {"audio_model": "ace"}),
    _line("Omnigen2", latent_formats.Flux, {"image_model": "omnigen2"}),
    _line("QwenImage", latent_formats.Wan21, {"image_model": "qwen_image"}),
    _line("HunyuanImage21", latent_formats.HunyuanImage21, {"image_model": "hunyuan_video", "vec_in_dim": None}),
    _line("Hunyuan3Dv2", latent_formats.Hunyuan3Dv2, {"image_model": "hunyuan3d2"}),
]  # fmt: skip
