"""Files of weights, sizes of pictures, tiles, names in state dicts, progress: by the names packs know."""

import itertools
import logging
import math
import struct
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image

from compat.world import running
from diffusion.checkpoints import pickled
from diffusion.images import resize as resizing
from diffusion.images.batch import repeat_to
from diffusion.images.bislerp import bislerp as _bislerp

log = logging.getLogger(__name__)

MMAP_TORCH_FILES = False
DISABLE_MMAP = False
ALWAYS_SAFE_LOAD = True

# Files


def load_torch_file(ckpt, safe_load=False, device=None, return_metadata=False):
    """A flat dict of tensors; with return_metadata, and the file's metadata. Pickles are read in weights-only mode."""
    device = torch.device("cpu") if device is None else torch.device(device)
    metadata = None
    path = str(ckpt)
    if path.lower().endswith((".safetensors", ".sft")):
        with safetensors.safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in list(file.keys())}
            metadata = file.metadata() if return_metadata else None
    else:
        found = pickled.read_pickle(Path(path))
        tensors = _unwrapped(found)
        if device.type != "cpu":
            tensors = {name: t.to(device) if isinstance(t, torch.Tensor) else t for name, t in tensors.items()}
    return (tensors, metadata) if return_metadata else tensors


def _unwrapped(found):
    """The state dict within a pickle: under "state_dict", or the one dict that lies in it."""
    if not isinstance(found, dict):
        raise ValueError(f"the file holds a {type(found).__name__}; expected a dict of tensors")
    if isinstance(found.get("state_dict"), dict):
        return found["state_dict"]
    if len(found) == 1:
        [inner] = found.values()
        if isinstance(inner, dict):
            return inner
    return found


def save_torch_file(sd, ckpt, metadata=None):
    """sd: name → tensor. metadata: text → text."""
    tensors = {name: tensor.contiguous() for name, tensor in sd.items()}
    safetensors.torch.save_file(tensors, str(ckpt), metadata=metadata)


def safetensors_header(safetensors_path, max_size=100 * 1024 * 1024):
    """The header's JSON as bytes; None where it is larger than max_size."""
    with open(safetensors_path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return None if length > max_size else file.read(length)


# State dicts


def calculate_parameters(sd, prefix=""):
    return sum(sd[name].nelement() for name in sd if name.startswith(prefix))


def weight_dtype(sd, prefix=""):
    """The dtype of most numbers; None without any."""
    counts = {}
    for name in sd:
        if name.startswith(prefix):
            counts[sd[name].dtype] = counts.get(sd[name].dtype, 0) + sd[name].numel()
    return max(counts, key=counts.get) if counts else None


def state_dict_key_replace(state_dict, keys_to_replace):
    for old, new in keys_to_replace.items():
        if old in state_dict:
            state_dict[new] = state_dict.pop(old)
    return state_dict


def state_dict_prefix_replace(state_dict, replace_prefix, filter_keys=False):
    """Names by other prefixes: in place, or with filter_keys as a new dict of the renamed ones alone."""
    out = {} if filter_keys else state_dict
    for old, new in replace_prefix.items():
        for name in [name for name in state_dict if name.startswith(old)]:
            out[new + name[len(old) :]] = state_dict.pop(name)
    return out


def get_attr(obj, attr):
    """By a dotted path; numbers index into lists of modules."""
    for part in attr.split("."):
        obj = getattr(obj, part)
    return obj


def set_attr(obj, attr, value):
    """By a dotted path; returns what was there."""
    place, _, name = attr.rpartition(".")
    holder = get_attr(obj, place) if place else obj
    before = getattr(holder, name)
    if (
        isinstance(holder, torch.nn.Module)
        and isinstance(before, torch.nn.Parameter)
        and not isinstance(value, torch.nn.Parameter)
    ):
        if isinstance(value, torch.Tensor):
            value = torch.nn.Parameter(value, requires_grad=False)
        else:
            delattr(holder, name)
    setattr(holder, name, value)
    return before


def set_attr_param(obj, attr, value):
    return set_attr(obj, attr, torch.nn.Parameter(value, requires_grad=False))


def copy_to_param(obj, attr, value):
    """Into the parameter's own memory."""
    get_attr(obj, attr).data.copy_(value)


def convert_sd_to(state_dict, dtype):
    return {name: tensor.to(dtype) for name, tensor in state_dict.items()}


# diffusers' names of the tensors of a UNet, block by block.
UNET_MAP_ATTENTIONS = {
    "proj_in.weight", "proj_in.bias", "proj_out.weight", "proj_out.bias", "norm.weight", "norm.bias",
}  # fmt: skip
TRANSFORMER_BLOCKS = {
    "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "norm3.weight", "norm3.bias",
    "attn1.to_q.weight", "attn1.to_k.weight", "attn1.to_v.weight", "attn1.to_out.0.weight", "attn1.to_out.0.bias",
    "attn2.to_q.weight", "attn2.to_k.weight", "attn2.to_v.weight", "attn2.to_out.0.weight", "attn2.to_out.0.bias",
    "ff.net.0.proj.weight", "ff.net.0.proj.bias", "ff.net.2.weight", "ff.net.2.bias",
}  # fmt: skip
UNET_MAP_RESNET = {
    "in_layers.2.weight": "conv1.weight",
    "in_layers.2.bias": "conv1.bias",
    "emb_layers.1.weight": "time_emb_proj.weight",
    "emb_layers.1.bias": "time_emb_proj.bias",
    "out_layers.3.weight": "conv2.weight",
    "out_layers.3.bias": "conv2.bias",
    "skip_connection.weight": "conv_shortcut.weight",
    "skip_connection.bias": "conv_shortcut.bias",
    "in_layers.0.weight": "norm1.weight",
    "in_layers.0.bias": "norm1.bias",
    "out_layers.0.weight": "norm2.weight",
    "out_layers.0.bias": "norm2.bias",
}
UNET_MAP_BASIC = {
    ("label_emb.0.0.weight", "class_embedding.linear_1.weight"),
    ("label_emb.0.0.bias", "class_embedding.linear_1.bias"),
    ("label_emb.0.2.weight", "class_embedding.linear_2.weight"),
    ("label_emb.0.2.bias", "class_embedding.linear_2.bias"),
    ("label_emb.0.0.weight", "add_embedding.linear_1.weight"),
    ("label_emb.0.0.bias", "add_embedding.linear_1.bias"),
    ("label_emb.0.2.weight", "add_embedding.linear_2.weight"),
    ("label_emb.0.2.bias", "add_embedding.linear_2.bias"),
    ("input_blocks.0.0.weight", "conv_in.weight"),
    ("input_blocks.0.0.bias", "conv_in.bias"),
    ("out.0.weight", "conv_norm_out.weight"),
    ("out.0.bias", "conv_norm_out.bias"),
    ("out.2.weight", "conv_out.weight"),
    ("out.2.bias", "conv_out.bias"),
    ("time_embed.0.weight", "time_embedding.linear_1.weight"),
    ("time_embed.0.bias", "time_embedding.linear_1.bias"),
    ("time_embed.2.weight", "time_embedding.linear_2.weight"),
    ("time_embed.2.bias", "time_embedding.linear_2.bias"),
}


def unet_to_diffusers(unet_config):
    """diffusers' name → ours for the tensors of a UNet; unet_config as detection gives it."""
    if "num_res_blocks" not in unet_config:
        return {}
    names = {}
    counts = list(unet_config["num_res_blocks"])
    levels = len(unet_config["channel_mult"])
    depths = list(unet_config["transformer_depth"])
    depths_out = list(unet_config["transformer_depth_output"])
    middle_depth = unet_config.get("transformer_depth_middle", 1)

    def resnet(theirs, ours):
        names.update({f"{theirs}.{b}": f"{ours}.{a}" for a, b in UNET_MAP_RESNET.items()})

    def attention(theirs, ours, depth):
        names.update({f"{theirs}.{name}": f"{ours}.{name}" for name in UNET_MAP_ATTENTIONS})
        for layer, name in itertools.product(range(depth), TRANSFORMER_BLOCKS):
            names[f"{theirs}.transformer_blocks.{layer}.{name}"] = f"{ours}.transformer_blocks.{layer}.{name}"

    block = 1
    for level in range(levels):
        for i in range(counts[level]):
            resnet(f"down_blocks.{level}.resnets.{i}", f"input_blocks.{block}.0")
            if (depth := depths.pop(0)) > 0:
                attention(f"down_blocks.{level}.attentions.{i}", f"input_blocks.{block}.1", depth)
            block += 1
        for end in ("weight", "bias"):
            names[f"down_blocks.{level}.downsamplers.0.conv.{end}"] = f"input_blocks.{block}.0.op.{end}"
        block += 1
    attention("mid_block.attentions.0", "middle_block.1", max(middle_depth, 0))
    resnet("mid_block.resnets.0", "middle_block.0")
    resnet("mid_block.resnets.1", "middle_block.2")
    block = 0
    for level in range(levels):
        count = counts[levels - 1 - level] + 1
        for i in range(count):
            ours = f"output_blocks.{block}"
            resnet(f"up_blocks.{level}.resnets.{i}", f"{ours}.0")
            depth = depths_out.pop()
            if depth > 0:
                attention(f"up_blocks.{level}.attentions.{i}", f"{ours}.1", depth)
            if i == count - 1:
                for end in ("weight", "bias"):
                    place = f"{ours}.{2 if depth > 0 else 1}.conv.{end}"
                    names[f"up_blocks.{level}.upsamplers.0.conv.{end}"] = place
            block += 1
    names.update({theirs: ours for ours, theirs in UNET_MAP_BASIC})
    return names


# Sizes


def repeat_to_batch_size(tensor, batch_size, dim=0):
    """Repeated or cut along a dimension."""
    if dim == 0:
        return repeat_to(tensor, batch_size)
    return repeat_to(tensor.transpose(0, dim), batch_size).transpose(0, dim)


def resize_to_batch_size(tensor, batch_size):
    """Picked along the batch at even distances, the ends kept; one item is repeated."""
    count = tensor.shape[0]
    if count == batch_size:
        return tensor
    if batch_size <= 1:
        return tensor[:batch_size]
    step = (count - 1) / (batch_size - 1) if batch_size < count else count / batch_size
    places = [
        min(round(i * step) if batch_size < count else int((i + 0.5) * step), count - 1) for i in range(batch_size)
    ]
    return tensor[places]


def lanczos(samples, width, height):
    return resizing.lanczos(samples, width, height)


def bislerp(samples, width, height):
    return _bislerp(samples, width, height)


def common_upscale(samples, width, height, upscale_method, crop):
    """(B, C, H, W) or (B, C, T, H, W). crop "center": cut to the new aspect first."""
    return resizing.resize(samples, int(width), int(height), upscale_method, crop == "center")


def resize_mask(mask, shape):
    return torch.nn.functional.interpolate(
        mask.reshape((-1, 1, mask.shape[-2], mask.shape[-1])), size=(shape[0], shape[1]), mode="bilinear"
    ).squeeze(1)


def reshape_mask(input_mask, output_shape):
    """A mask of any size and number of dimensions at the shape of a latent, channels included."""
    dims = len(output_shape) - 2
    mask = input_mask
    if dims == 1:
        mask = mask.reshape((-1, 1, mask.shape[-1]))
        mode = "linear"
    elif dims == 3:
        if mask.ndim < 5:
            mask = mask.reshape((1, 1, -1, *mask.shape[-2:]))
        mode = "trilinear"
    else:
        mask = mask.reshape((-1, 1, *mask.shape[-2:]))
        mode = "bilinear"
    mask = torch.nn.functional.interpolate(mask.float(), size=tuple(output_shape[2:]), mode=mode)
    if mask.shape[1] < output_shape[1]:
        mask = mask.repeat((1, output_shape[1]) + (1,) * dims)[:, : output_shape[1]]
    return repeat_to(mask, output_shape[0])


def upscale_dit_mask(mask, img_size_in, img_size_out):
    return resize_mask(mask.reshape(-1, *img_size_in), img_size_out)


def get_tiled_scale_steps(width, height, tile_x, tile_y, overlap):
    """How many tiles `tiled_scale` runs for one picture."""
    return _count(height, tile_y, overlap) * _count(width, tile_x, overlap)


def _count(size, tile, overlap):
    return 1 if size <= tile else math.ceil((size - overlap) / (tile - overlap))


@torch.inference_mode()
def tiled_scale_multidim(
    samples, function, tile=(64, 64), overlap=8, upscale_amount=4, out_channels=3, output_device="cpu",
    downscale=False, index_formulas=None, pbar=None,
):  # fmt: skip
    """Runs `function` over overlapping tiles of (B, C, …) and blends what comes out by linear ramps.

    tile, overlap, upscale_amount: one number or one for each dimension; an amount may be a function of a size.
    """
    dims = len(tile)
    overlaps = list(overlap) if isinstance(overlap, (list, tuple)) else [overlap] * dims
    amounts = list(upscale_amount) if isinstance(upscale_amount, (list, tuple)) else [upscale_amount] * dims
    formulas = (
        index_formulas if isinstance(index_formulas, (list, tuple)) else [index_formulas or upscale_amount] * dims
    )

    def scaled(amount, size):
        if callable(amount):
            return round(amount(size))
        return round(size / amount) if downscale else round(size * amount)

    sizes = [scaled(amount, size) for amount, size in zip(amounts, samples.shape[2:], strict=True)]
    out = torch.zeros((samples.shape[0], out_channels, *sizes), device=output_device)
    for i in range(samples.shape[0]):
        total = torch.zeros((1, out_channels, *sizes), device=output_device)
        weights = torch.zeros((1, 1, *sizes), device=output_device)
        starts = []
        for size, length, over in zip(samples.shape[2:], tile, overlaps, strict=True):
            places = list(range(0, size - over, length - over)) if size > length else [0]
            starts.append([max(0, min(place, size - length)) for place in places] or [0])
        for place in itertools.product(*starts):
            part = samples[i : i + 1]
            corner = []
            for d, start in enumerate(place):
                part = part.narrow(d + 2, start, min(tile[d], samples.shape[d + 2] - start))
                corner.append(scaled(formulas[d], start))
            made = function(part).to(output_device)
            ramp = torch.ones((1, 1, *made.shape[2:]), device=output_device)
            for d in range(dims):
                feather = min(scaled(amounts[d], overlaps[d]), made.shape[d + 2])
                for k in range(feather):
                    share = (k + 1) / feather
                    if corner[d] > 0:
                        ramp.narrow(d + 2, k, 1).mul_(share)
                    if corner[d] + made.shape[d + 2] < sizes[d]:
                        ramp.narrow(d + 2, made.shape[d + 2] - 1 - k, 1).mul_(share)
            into, weight = total, weights
            for d in range(dims):
                length = min(made.shape[d + 2], sizes[d] - corner[d])
                into, weight = into.narrow(d + 2, corner[d], length), weight.narrow(d + 2, corner[d], length)
                made, ramp = made.narrow(d + 2, 0, length), ramp.narrow(d + 2, 0, length)
            into.add_(made * ramp)
            weight.add_(ramp)
            if pbar is not None:
                pbar.update(1)
        out[i : i + 1] = total / weights
    return out


def tiled_scale(
    samples, function, tile_x=64, tile_y=64, overlap=8, upscale_amount=4, out_channels=3, output_device="cpu", pbar=None
):
    """As `tiled_scale_multidim`, for pictures (B, C, H, W)."""
    return tiled_scale_multidim(
        samples, function, (tile_y, tile_x), overlap, upscale_amount, out_channels, output_device, pbar=pbar
    )


# Progress

PROGRESS_BAR_ENABLED = True


def set_progress_bar_enabled(enabled):
    global PROGRESS_BAR_ENABLED
    PROGRESS_BAR_ENABLED = enabled


def _tell(value, total, preview, node_id=None):
    """The hook there is from the start: the running node's own progress."""
    run = running()
    if run is None:
        return
    if preview is not None:
        _show(run, preview)
    run.progress(value, total)


def _show(run, preview):
    """preview: (format, PIL picture or bytes, longest side)."""
    import io

    kind, picture, longest = preview
    if isinstance(picture, bytes):
        run.preview(picture, "png" if str(kind).lower() == "png" else "jpeg")
        return
    if longest is not None and max(picture.size) > longest:
        picture = picture.copy()
        picture.thumbnail((longest, longest), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    kind = "PNG" if str(kind).upper() == "PNG" else "JPEG"
    (picture if kind == "PNG" else picture.convert("RGB")).save(buffer, kind)
    run.preview(buffer.getvalue(), kind.lower())


PROGRESS_BAR_HOOK = _tell


def set_progress_bar_global_hook(function):
    global PROGRESS_BAR_HOOK
    PROGRESS_BAR_HOOK = function


class ProgressBar:
    """Tells how far the running node is; raises when the job is to end."""

    def __init__(self, total, node_id=None):
        self.total = total
        self.current = 0
        self.hook = PROGRESS_BAR_HOOK
        self.node_id = node_id

    def update_absolute(self, value, total=None, preview=None):
        if total is not None:
            self.total = total
        self.current = min(value, self.total)
        if self.hook is not None and PROGRESS_BAR_ENABLED:
            self.hook(self.current, self.total, preview, node_id=self.node_id)

    def update(self, value):
        self.update_absolute(self.current + value)


def string_to_seed(data):
    """A number from 0 to 2^32 - 1 that a text or bytes stand for: their CRC-32."""
    import zlib

    return zlib.crc32(data if isinstance(data, bytes) else str(data).encode())


def deepcopy_list_dict(value, memo=None):
    """Lists and dicts copied all the way down; what they hold is shared."""
    if isinstance(value, dict):
        return {deepcopy_list_dict(k): deepcopy_list_dict(v) for k, v in value.items()}
    if isinstance(value, list):
        return [deepcopy_list_dict(item) for item in value]
    return value


def pack_latents(latents):
    """Several latents as one (B, 1, N), and their shapes."""
    shapes = [list(latent.shape) for latent in latents]
    return torch.cat([latent.reshape(latent.shape[0], 1, -1) for latent in latents], dim=-1), shapes


def unpack_latents(combined_latent, latent_shapes):
    """The inverse of `pack_latents`."""
    if len(latent_shapes) <= 1:
        return [combined_latent]
    sizes = [math.prod(shape[1:]) for shape in latent_shapes]
    parts = combined_latent.split(sizes, dim=-1)
    return [part.reshape([part.shape[0], *shape[1:]]) for part, shape in zip(parts, latent_shapes, strict=True)]
