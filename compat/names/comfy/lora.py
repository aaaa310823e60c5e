"""LoRA files as patches by weight: names of modules as files spell them, and the arithmetic of patches."""

import logging

import torch

from comfy import weight_adapter
from diffusion.patches.lora.keys import grouped
from diffusion.patches.lora.names import network_modules, text_modules

log = logging.getLogger(__name__)

LORA_CLIP_MAP = {
    "mlp.fc1": "mlp_fc1",
    "mlp.fc2": "mlp_fc2",
    "self_attn.k_proj": "self_attn_k_proj",
    "self_attn.q_proj": "self_attn_q_proj",
    "self_attn.v_proj": "self_attn_v_proj",
    "self_attn.out_proj": "self_attn_out_proj",
}


def model_lora_keys_unet(model, key_map={}):
    """Spelling of a module in files → name of its weight in the model. model: a `BaseModel`."""
    handle = getattr(model, "handle", None)
    if handle is not None:
        for spelling, module in network_modules(handle).items():
            key_map[spelling] = f"diffusion_model.{module}.weight"
    for name in model.state_dict():
        if name.startswith("diffusion_model.") and name.endswith(".weight"):
            module = name.removeprefix("diffusion_model.").removesuffix(".weight")
            key_map["lora_unet_{}".format(module.replace(".", "_"))] = name
            key_map[f"diffusion_model.{module}"] = name
            key_map[name.removesuffix(".weight")] = name
    return key_map


def model_lora_keys_clip(model, key_map={}):
    """The same for text encoders. model: a `cond_stage_model`."""
    handle = getattr(model, "handle", None)
    for encoder in handle.networks if handle is not None else ():
        for spelling, module in text_modules(handle, encoder).items():
            key_map[spelling] = f"{encoder}.transformer.{module}.weight"
    for name in model.state_dict():
        if name.endswith(".weight"):
            key_map[f"text_encoders.{name.removesuffix('.weight')}"] = name
    return key_map


def load_lora(lora, to_load, log_missing=True):
    """Name of a weight → its patch, of a file's tensors. to_load: spelling → name of a weight."""
    modules, unknown = grouped(lora)
    patches = {}
    left = list(unknown)
    for module, roles in modules.items():
        key = to_load.get(module)
        if key is None:
            left.append(module)
            continue
        tensors = {role: lora[name] for role, name in roles.items()}
        bias = tensors.pop("diff_b", None)
        if set(tensors) - {"alpha"}:
            patches[key] = weight_adapter.ModuleAdapter(tensors, set(roles.values()))
        if bias is not None:
            name = key[: -len(".weight")] + ".bias" if isinstance(key, str) else key
            patches[name] = ("diff", (bias,))
    if log_missing and left:
        log.warning("these parts of a LoRA belong to nothing in the model: %s", ", ".join(sorted(left)[:20]))
    return patches


def pad_tensor_to_shape(tensor, new_shape):
    """Zeros at the ends, up to a shape."""
    if any(new < old for new, old in zip(new_shape, tensor.shape, strict=True)):
        raise ValueError(f"{tuple(tensor.shape)} cannot be padded to the smaller {tuple(new_shape)}")
    padded = tensor.new_zeros(tuple(new_shape))
    padded[tuple(slice(0, size) for size in tensor.shape)] = tensor
    return padded


def calculate_shape(patches, weight, key, original_weights=None):
    for _, patch, *_rest in patches:
        if isinstance(patch, tuple) and patch[0] == "diff" and len(patch[1]) > 1 and patch[1][1].get("pad_weight"):
            return patch[1][0].shape
    return weight.shape


def calculate_weight(patches, weight, key, intermediate_dtype=torch.float32, original_weights=None):
    """The weight with patches applied in order; may be changed in place.

    patches: (strength, patch, strength of the model, offset, function). A patch is a tensor to add in a 1-tuple, a kind
    and its values ("diff", "set", "model_as_lora", an algorithm's name), an adapter, or a list: a weight with patches.
    """
    for strength, patch, strength_model, offset, function in patches:
        function = function or (lambda changed: changed)
        whole = weight
        if offset is not None:
            weight = weight.narrow(*offset)
        if strength_model != 1.0:
            weight *= strength_model
        if isinstance(patch, list):
            inner = patch[0][0] if isinstance(patch[0], tuple) else patch[0]
            patch = (calculate_weight(patch[1:], inner.to(intermediate_dtype).clone(), key, intermediate_dtype),)
        if isinstance(patch, weight_adapter.WeightAdapterBase):
            made = patch.calculate_weight(
                weight, key, strength, strength_model, offset, function, intermediate_dtype, original_weights
            )
        else:
            kind, values = ("diff", patch) if len(patch) == 1 else patch[:2]
            made = _by_kind(kind, values, weight, key, strength, function, intermediate_dtype, original_weights)
        if made is None:
            made = weight
        if offset is not None:
            if made is not weight:
                weight.copy_(made)
            weight = whole
        else:
            weight = made
    return weight


def _by_kind(kind, values, weight, key, strength, function, dtype, original_weights):
    if kind == "diff":
        diff = values[0]
        if len(values) > 1 and values[1].get("pad_weight") and diff.shape != weight.shape:
            weight = pad_tensor_to_shape(weight, diff.shape)
        if strength != 0.0:
            if diff.shape != weight.shape:
                log.warning("%s: a change of shape %s does not fit %s", key, tuple(diff.shape), tuple(weight.shape))
            else:
                weight += function(strength * diff.to(weight.device, weight.dtype))
        return weight
    if kind == "set":
        return weight.copy_(values[0].to(weight))
    if kind == "model_as_lora":
        before = original_weights[key][0][0].to(weight)
        return weight.add_(function(strength * (values[0].to(weight) - before)))
    adapter = weight_adapter.from_values(kind, values)
    if adapter is None:
        log.warning("%s: patches of the kind %r are not known", key, kind)
        return weight
    return adapter.calculate_weight(weight, key, strength, 1.0, None, function, dtype, original_weights)
