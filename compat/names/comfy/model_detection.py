"""What a network is, told from its tensors: as records that packs read."""

from comfy import latent_formats, supported_models
from comfy.supported_models_base import BASE
from diffusion.checkpoints.recognise import network_prefix
from diffusion.handles import Model
from diffusion.models.unet_config import UNetConfig, read_unet_config


def count_blocks(state_dict_keys, prefix_string):
    """How many blocks are numbered after a prefix with a place for the number ("blocks.{}.")."""
    count = 0
    while any(name.startswith(prefix_string.format(count)) for name in state_dict_keys):
        count += 1
    return count


def unet_prefix_from_state_dict(state_dict):
    """What stands before the names of the diffusion network."""
    return network_prefix({name: tuple(tensor.shape) for name, tensor in state_dict.items()})


def unet_config_of(config: UNetConfig):
    """Hyper-parameters by the names packs know."""
    return {
        "in_channels": config.in_channels,
        "out_channels": config.out_channels,
        "model_channels": config.base_width,
        "channel_mult": [width // config.base_width for width in config.level_widths],
        "num_res_blocks": [len(depths) for depths in config.input_depths],
        "transformer_depth": [depth for depths in config.input_depths for depth in depths],
        "transformer_depth_output": [depth for depths in reversed(config.output_depths) for depth in reversed(depths)],
        "transformer_depth_middle": config.middle_depth,
        "context_dim": config.context_width,
        "adm_in_channels": config.vector_width,
        "num_classes": None if config.vector_width is None else "sequential",
        "use_linear_in_transformer": config.linear_projection,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "num_heads": -1 if config.heads is None else config.heads,
        "num_head_channels": -1 if config.head_width is None else config.head_width,
        "image_size": 32,
        "use_spatial_transformer": True,
        "legacy": False,
    }


def detect_unet_config(state_dict, key_prefix, metadata=None):
    shapes = {
        name.removeprefix(key_prefix): tuple(tensor.shape)
        for name, tensor in state_dict.items()
        if name.startswith(key_prefix)
    }
    config = read_unet_config(shapes)
    return None if config is None else unet_config_of(config)


def model_config_from_unet_config(unet_config, state_dict=None):
    for kind in supported_models.models:
        if kind.matches(unet_config, state_dict):
            return kind(unet_config)
    return None


def model_config_from_unet(state_dict, unet_key_prefix, use_base_if_no_match=False, metadata=None):
    unet_config = detect_unet_config(state_dict, unet_key_prefix, metadata)
    if unet_config is None:
        return None
    found = model_config_from_unet_config(unet_config, state_dict)
    return BASE(unet_config) if found is None and use_base_if_no_match else found


def convert_config(unet_config):
    """Older spellings of the same: numbers for each level, depths for each block."""
    changed = dict(unet_config)
    levels = len(changed.get("channel_mult", ()))
    blocks = changed.get("num_res_blocks")
    if isinstance(blocks, int):
        changed["num_res_blocks"] = [blocks] * levels
    if "attention_resolutions" in changed:
        changed.pop("attention_resolutions")
    return changed


def unet_config_from_diffusers_unet(state_dict, dtype=None):
    """Of a UNet in diffusers' names; None for others."""
    from diffusion.families.diffusers_layout import from_diffusers

    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    names = from_diffusers(shapes)
    if names is None:
        return None
    config = read_unet_config({ours: shapes[theirs] for theirs, ours in names.items()})
    return None if config is None else unet_config_of(config)


def model_config_from_diffusers_unet(state_dict):
    unet_config = unet_config_from_diffusers_unet(state_dict)
    return None if unet_config is None else model_config_from_unet_config(unet_config)


_BY_FAMILY = {
    "SD 1": "SD15",
    "SD 2": "SD20",
    "SDXL refiner": "SDXLRefiner",
    "SDXL": "SDXL",
    "SD3": "SD3",
    "Flux": "Flux",
    "AuraFlow": "AuraFlow",
}


def config_of(handle: Model):
    """The record of a model of ours."""
    name = handle.family.name
    begin = max((one for one in _BY_FAMILY if name.startswith(one)), key=len, default=None)
    kind = BASE if begin is None else getattr(supported_models, _BY_FAMILY[begin])
    unet_config = unet_config_of(handle.config) if isinstance(handle.config, UNetConfig) else {}
    made = kind(unet_config)
    made.latent_format = latent_formats.of_library(handle.latent)
    return made
