"""Checkpoints and their parts: CLIP and VAE objects, and the functions that load them."""

import logging
from dataclasses import replace
from enum import Enum
from pathlib import Path

import torch

from comfy import lora as lora_of_packs
from comfy import model_management, sd1_clip, sdxl_clip, utils
from comfy.model_patcher import ModelPatcher, PackPatches, handle_of, patcher_of
from compat.border import outward
from compat.inside.places import device_of
from compat.world import world
from diffusion import autoencode
from diffusion.checkpoints.errors import CheckpointError
from diffusion.handles import Autoencoder, TextEncoders

log = logging.getLogger(__name__)


class CLIPType(Enum):
    STABLE_DIFFUSION = 1
    STABLE_CASCADE = 2
    SD3 = 3
    STABLE_AUDIO = 4
    HUNYUAN_DIT = 5
    FLUX = 6
    MOCHI = 7
    LTXV = 8
    HUNYUAN_VIDEO = 9
    PIXART = 10
    COSMOS = 11
    LUMINA2 = 12
    WAN = 13
    HIDREAM = 14
    CHROMA = 15
    ACE = 16
    OMNIGEN2 = 17
    QWEN_IMAGE = 18
    HUNYUAN_IMAGE = 19


class TEModel(Enum):
    CLIP_L = 1
    CLIP_H = 2
    CLIP_G = 3
    T5_XXL = 4


def load_lora_for_models(model, clip, lora, strength_model, strength_clip):
    """(model, clip) with a LoRA's tensors on clones of them; either may be None."""
    names = {}
    if model is not None:
        names = lora_of_packs.model_lora_keys_unet(model.model, names)
    if clip is not None:
        names = lora_of_packs.model_lora_keys_clip(clip.cond_stage_model, names)
    patches = lora_of_packs.load_lora(lora, names)
    used = set()
    if model is not None:
        model = model.clone()
        used |= set(model.add_patches(patches, strength_model))
    if clip is not None:
        clip = clip.clone()
        used |= set(clip.add_patches(patches, strength_clip))
    if left := [str(key) for key in patches if key not in used]:
        log.warning("these parts of a LoRA fit nothing: %s", ", ".join(left[:20]))
    return model, clip


# Text encoders


class CLIP:
    """A CLIP: text encoders with what is done to them."""

    def __init__(
        self, target=None, embedding_directory=None, no_init=False, tokenizer_data={}, parameters=0, model_options={}
    ):
        self.layer_idx = None
        self.use_clip_schedule = False
        self.apply_hooks_to_conds = None
        self.tokenizer_options = {}
        self.native: TextEncoders | None = None
        if no_init:
            return
        device = model_management.text_encoder_device()
        self.cond_stage_model = target.clip(device="cpu", dtype=None, model_options=model_options, **target.params)
        self.tokenizer = target.tokenizer(embedding_directory=embedding_directory, tokenizer_data=tokenizer_data)
        self.patcher = ModelPatcher(self.cond_stage_model, device, model_management.text_encoder_offload_device())
        self.patcher.is_clip = True

    @classmethod
    def of(cls, handle: TextEncoders) -> "CLIP":
        made = CLIP(no_init=True)
        made.native = handle
        made.cond_stage_model = _text_model(handle).of(handle)
        made.tokenizer = sd1_clip.SD1Tokenizer.of(handle)
        device = device_of(next(iter(handle.networks.values())))
        made.patcher = ModelPatcher(made.cond_stage_model, device, torch.device("cpu"))
        made.patcher.native = None
        made.patcher.weights_go_by_handle = True
        made.patcher.is_clip = True
        made.layer_idx = handle.stop_at_layer
        return made

    def clone(self, disable_dynamic=False):
        twin = CLIP(no_init=True)
        twin.native = self.native
        twin.patcher = self.patcher.clone()
        twin.cond_stage_model = self.cond_stage_model
        twin.tokenizer = self.tokenizer
        twin.layer_idx = self.layer_idx
        twin.tokenizer_options = dict(self.tokenizer_options)
        twin.use_clip_schedule = self.use_clip_schedule
        twin.apply_hooks_to_conds = self.apply_hooks_to_conds
        return twin

    def handle(self) -> TextEncoders:
        """The handle with everything done to this object."""
        handle = self.native
        if handle is None:
            raise TypeError("a CLIP that a pack built around a network of its own cannot be given to nodes of ours")
        by_encoder = {}
        for key, found in self.patcher.patches.items():
            encoder, _, name = key.partition(".transformer.")
            by_encoder.setdefault(encoder, {})[name] = found
        for encoder, found in by_encoder.items():
            handle = handle.with_patches(encoder, PackPatches((self.patcher.patches_uuid, encoder), found))
        if self.layer_idx is not None:
            handle = handle.stopping_at(self.layer_idx)
        return handle

    def add_patches(self, patches, strength_patch=1.0, strength_model=1.0):
        return self.patcher.add_patches(patches, strength_patch, strength_model)

    def set_tokenizer_option(self, option_name, value):
        self.tokenizer_options[option_name] = value

    def clip_layer(self, layer_idx):
        self.layer_idx = layer_idx

    def tokenize(self, text, return_word_ids=False, **kwargs):
        """Encoder → chunks of (id or vector, weight[, word id])."""
        return self.tokenizer.tokenize_with_weights(
            text, return_word_ids, tokenizer_options=self.tokenizer_options, **kwargs
        )

    def load_model(self, tokens=None):
        model_management.load_model_gpu(self.patcher)
        return self.patcher

    def _encoded(self, tokens):
        model = self.cond_stage_model
        if self.native is None:
            return model.encode_token_weights(tokens)
        # What is done to this object is not done to the encoders it shares with others.
        before, handles = model.handle, [(encoder, encoder.handle) for encoder in model.encoders()]
        handle = self.handle()
        try:
            model.__dict__["handle"] = handle
            for encoder, _ in handles:
                encoder.__dict__["handle"] = handle
            return model.encode_token_weights(tokens)
        finally:
            model.__dict__["handle"] = before
            for encoder, its in handles:
                encoder.__dict__["handle"] = its

    def encode_from_tokens(self, tokens, return_pooled=False, return_dict=False):
        self.load_model()
        made = self._encoded(tokens)
        cond, pooled = made[:2]
        if return_dict:
            extra = made[2] if len(made) > 2 else {}
            return {"cond": cond, "pooled_output": pooled, **extra}
        return (cond, pooled) if return_pooled else cond

    def encode_from_tokens_scheduled(self, tokens, unprojected=False, add_dict={}, show_pbar=True):
        """A conditioning."""
        made = self.encode_from_tokens(tokens, return_pooled="unprojected" if unprojected else True, return_dict=True)
        cond = made.pop("cond")
        made.update(add_dict)
        self.add_hooks_to_dict(made)
        return [[cond, made]]

    def add_hooks_to_dict(self, pooled_dict):
        if self.apply_hooks_to_conds:
            pooled_dict["hooks"] = self.apply_hooks_to_conds
        return pooled_dict

    def encode(self, text):
        return self.encode_from_tokens(self.tokenize(text))

    def load_sd(self, sd, full_model=False):
        return self.cond_stage_model.load_sd(sd)

    def get_sd(self):
        return {**self.cond_stage_model.state_dict(), **self.tokenizer.state_dict()}

    def get_key_patches(self):
        return self.patcher.get_key_patches()


def _text_model(handle):
    from comfy.text_encoders.flux import FluxClipModel
    from comfy.text_encoders.sd3_clip import SD3ClipModel

    names = set(handle.networks)
    if "t5xxl" in names:
        return SD3ClipModel if "clip_g" in names else FluxClipModel
    if "clip_g" in names:
        return sdxl_clip.SDXLClipModel if "clip_l" in names else sdxl_clip.SDXLRefinerClipModel
    return sd1_clip.SD1ClipModel


# Autoencoders


class VAE:
    """A VAE: between pictures (B, H, W, 3) in 0…1 and latents in VAE scale."""

    def __init__(self, sd=None, device=None, config=None, dtype=None, metadata=None):
        if sd is None:
            raise ValueError("a VAE is made of a state dict: VAE(sd=…)")
        self._become(autoencoder_of(sd))

    @classmethod
    def of(cls, handle: Autoencoder) -> "VAE":
        made = cls.__new__(cls)
        made._become(handle)
        return made

    def _become(self, handle):
        self.native = handle
        self.first_stage_model = handle.network
        parameter = next(handle.network.parameters())
        self.device = device_of(handle.network)
        self.offload_device = torch.device("cpu")
        self.output_device = torch.device("cpu")
        self.vae_dtype = parameter.dtype
        self.working_dtypes = [torch.bfloat16, torch.float32]
        self.downscale_ratio = self.upscale_ratio = handle.downscale
        self.downscale_index_formula = self.upscale_index_formula = None
        self.latent_channels = handle.channels
        self.output_channels = 3
        self.latent_dim = 2
        self.disable_offload = False
        self.not_video = False
        self.extra_1d_channel = None
        self.crop_input = True
        self.process_input = lambda image: image * 2.0 - 1.0
        self.process_output = lambda image: ((image + 1.0) / 2.0).clamp(0.0, 1.0)
        self.memory_used_encode = lambda shape, dtype: 1767 * shape[2] * shape[3] * model_management.dtype_size(dtype)
        self.memory_used_decode = lambda shape, dtype: (
            2178 * shape[2] * shape[3] * 64 * model_management.dtype_size(dtype)
        )
        self.patcher = ModelPatcher(self.first_stage_model, self.device, self.offload_device)
        self.patcher.native = None
        self.patcher.weights_go_by_handle = True
        self.size = None

    def model_size(self):
        return model_management.module_size(self.first_stage_model)

    def throw_exception_if_invalid(self):
        if self.first_stage_model is None:
            raise RuntimeError("the VAE is not there: the checkpoint has none, or it is of a kind that is not known")

    def vae_encode_crop_pixels(self, pixels):
        from nodes.latent_vae import cropped

        return cropped(pixels, self.spacial_compression_encode())

    def handle(self) -> Autoencoder:
        if self.patcher.patches:
            from diffusion.patches.weights import patched

            patches = (PackPatches(self.patcher.patches_uuid, dict(self.patcher.patches)),)
            return replace(self.native, network=patched(self.native.network, patches))
        return replace(self.native, network=self.first_stage_model)

    def decode(self, samples_in, vae_options={}):
        return autoencode.decode(self.handle(), samples_in)

    def encode(self, pixel_samples):
        return autoencode.encode(self.handle(), pixel_samples)

    def decode_tiled(self, samples, tile_x=None, tile_y=None, overlap=None, tile_t=None, overlap_t=None):
        """tile_x, tile_y, overlap: in latent positions."""
        tile = max(tile_x or 64, tile_y or tile_x or 64)
        over = 16 if overlap is None else overlap
        return autoencode.decode_tiled(
            self.handle(), samples, tile * self.native.downscale, over * self.native.downscale
        )

    def encode_tiled(self, pixel_samples, tile_x=None, tile_y=None, overlap=None, tile_t=None, overlap_t=None):
        """tile_x, tile_y, overlap: in pixels."""
        tile = max(tile_x or 512, tile_y or tile_x or 512)
        return autoencode.encode_tiled(self.handle(), pixel_samples, tile, 64 if overlap is None else overlap)

    def spacial_compression_decode(self):
        return self.native.downscale

    def spacial_compression_encode(self):
        return self.native.downscale

    def temporal_compression_decode(self):
        return None

    def is_dynamic(self):
        return False

    def get_sd(self):
        return self.first_stage_model.state_dict()


def autoencoder_of(sd) -> Autoencoder:
    """A VAE's handle from its tensors."""
    from diffusion.checkpoints.build import build_network
    from diffusion.checkpoints.recognise import AUTOENCODER_PREFIXES, find_autoencoder
    from diffusion.checkpoints.weights import Weights
    from diffusion.models.autoencoder import AutoencoderKL, read_autoencoder_config

    found = find_autoencoder(
        Weights.of({name: tensor.float() for name, tensor in sd.items()}), ("", *AUTOENCODER_PREFIXES)
    )
    config = None if found is None else read_autoencoder_config(found.weights.shapes)
    if found is None or config is None:
        raise ValueError("these tensors make no VAE of a kind that is known")
    network = build_network(Path("a state dict"), "VAE", lambda: AutoencoderKL(config), found.weights)
    return Autoencoder(network, config.latent_channels, config.downscale)


class StyleModel:
    def __init__(self, model, device="cpu"):
        self.model = model

    def get_cond(self, input):
        return self.model(input.last_hidden_state)


# Loading


def _of_loaded(loaded, output_model=True, output_clip=True, output_vae=True):
    model = patcher_of(loaded.model) if output_model else None
    clip = CLIP.of(loaded.text_encoders) if output_clip and loaded.text_encoders is not None else None
    vae = VAE.of(loaded.autoencoder) if output_vae and loaded.autoencoder is not None else None
    return model, clip, vae


def load_checkpoint_guess_config(
    ckpt_path, output_vae=True, output_clip=True, output_clipvision=False, embedding_directory=None, output_model=True,
    model_options={}, te_model_options={}, disable_dynamic=False,
):  # fmt: skip
    """(model, clip, vae, clip vision): None for what is not there or not asked for. Raises CheckpointError."""
    loaded = world().store.checkpoint(ckpt_path)
    return (*_of_loaded(loaded, output_model, output_clip, output_vae), None)


def load_checkpoint(
    config_path=None,
    ckpt_path=None,
    output_vae=True,
    output_clip=True,
    embedding_directory=None,
    state_dict=None,
    config=None,
):
    """The file itself says what it is."""
    if ckpt_path is None:
        return load_state_dict_guess_config(state_dict, output_vae, output_clip)[:3]
    return load_checkpoint_guess_config(ckpt_path, output_vae, output_clip)[:3]


def _in_a_file(sd, use):
    """Have the store open tensors that a pack holds: it knows files."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state_dict.safetensors"
        utils.save_torch_file({name: tensor for name, tensor in sd.items() if isinstance(tensor, torch.Tensor)}, path)
        return use(path)


def load_state_dict_guess_config(
    sd, output_vae=True, output_clip=True, output_clipvision=False, embedding_directory=None, output_model=True,
    model_options={}, te_model_options={}, metadata=None, disable_dynamic=False,
):  # fmt: skip
    try:
        loaded = _in_a_file(sd, world().store.checkpoint)
    except CheckpointError:
        return None
    return (*_of_loaded(loaded, output_model, output_clip, output_vae), None)


def load_diffusion_model(unet_path, model_options={}, disable_dynamic=False):
    return patcher_of(world().store.diffusion_model(unet_path, model_options.get("dtype")))


def load_diffusion_model_state_dict(sd, model_options={}, metadata=None, disable_dynamic=False):
    """None where the tensors are of no model that is known."""
    try:
        return patcher_of(_in_a_file(sd, lambda path: world().store.diffusion_model(path, model_options.get("dtype"))))
    except CheckpointError:
        return None


def load_unet(unet_path, dtype=None):
    return load_diffusion_model(unet_path, {"dtype": dtype})


def load_unet_state_dict(sd, dtype=None):
    return load_diffusion_model_state_dict(sd, {"dtype": dtype})


def load_clip(
    ckpt_paths, embedding_directory=None, clip_type=CLIPType.STABLE_DIFFUSION, model_options={}, disable_dynamic=False
):
    """The files themselves say which encoders they are."""
    return CLIP.of(world().store.text_encoders(list(ckpt_paths)))


def load_text_encoder_state_dicts(
    state_dicts=[],
    embedding_directory=None,
    clip_type=CLIPType.STABLE_DIFFUSION,
    model_options={},
    disable_dynamic=False,
):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.safetensors" for i in range(len(state_dicts))]
        for path, sd in zip(paths, state_dicts, strict=True):
            utils.save_torch_file(sd, path)
        return CLIP.of(world().store.text_encoders(paths))


def load_style_model(ckpt_path):
    from compat.placeholder import NotPromised

    raise NotPromised("comfy.sd.load_style_model")


def load_gligen(ckpt_path):
    from compat.placeholder import NotPromised

    raise NotPromised("comfy.sd.load_gligen")


def save_checkpoint(output_path, model, clip=None, vae=None, clip_vision=None, metadata=None, extra_keys={}):
    """A whole checkpoint, patches applied."""
    from diffusion.checkpoints import write

    write.save_checkpoint(
        Path(output_path), handle_of(model), None if clip is None else clip.handle(), None if vae is None else vae.handle(),
        metadata={key: str(value) for key, value in (metadata or {}).items()},
    )  # fmt: skip


outward(CLIP, lambda clip: clip.handle() if clip.native is not None else clip)
outward(VAE, VAE.handle)
