"""Pictures of unfinished latents: what shows them, and the callback that sends them."""

import torch
from comfy.cli_args import LatentPreviewMethod, args
from comfy.utils import ProgressBar
from PIL import Image

from diffusion.latents import LatentFormat

MAX_PREVIEW_RESOLUTION = args.preview_size

default_preview_method = args.preview_method


def preview_to_image(latent_image, do_scale=True):
    """(H, W, 3), in -1…1 where do_scale, to a PIL picture."""
    pixels = latent_image.float()
    if do_scale:
        pixels = (pixels + 1) / 2
    return Image.fromarray((pixels.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy())


class LatentPreviewer:
    def decode_latent_to_preview(self, x0):
        raise NotImplementedError(f"{type(self).__name__} does not say how to show a latent")

    def decode_latent_to_preview_image(self, preview_format, x0):
        return preview_format, self.decode_latent_to_preview(x0), MAX_PREVIEW_RESOLUTION


class TAESDPreviewerImpl(LatentPreviewer):
    """taesd: has `decode`, latents in model scale to (B, 3, H, W) in -1…1."""

    def __init__(self, taesd):
        self.taesd = taesd

    def decode_latent_to_preview(self, x0):
        return preview_to_image(self.taesd.decode(x0[:1])[0].movedim(0, 2))


class Latent2RGBPreviewer(LatentPreviewer):
    """By one colour for each channel."""

    def __init__(self, latent_rgb_factors, latent_rgb_factors_bias=None, latent_rgb_factors_reshape=None):
        self.latent_rgb_factors = torch.tensor(latent_rgb_factors).transpose(0, 1)
        self.latent_rgb_factors_bias = (
            None if latent_rgb_factors_bias is None else torch.tensor(latent_rgb_factors_bias)
        )
        self.latent_rgb_factors_reshape = latent_rgb_factors_reshape

    def decode_latent_to_preview(self, x0):
        if self.latent_rgb_factors_reshape is not None:
            x0 = self.latent_rgb_factors_reshape(x0)
        first = x0[0, :, 0] if x0.ndim == 5 else x0[0]
        factors = self.latent_rgb_factors.to(first)
        bias = None if self.latent_rgb_factors_bias is None else self.latent_rgb_factors_bias.to(first)
        return preview_to_image(torch.nn.functional.linear(first.movedim(0, -1), factors, bias))


def get_previewer(device, latent_format):
    """What shows latents of this format; None where previews are off or nothing can show them."""
    method = args.preview_method
    if method == LatentPreviewMethod.NoPreviews:
        return None
    factors = getattr(latent_format, "latent_rgb_factors", None)
    if factors is None and isinstance(latent_format, LatentFormat):
        factors = latent_format.preview_factors or None
    if factors is None:
        return None
    return Latent2RGBPreviewer(
        factors,
        getattr(latent_format, "latent_rgb_factors_bias", None),
        getattr(latent_format, "latent_rgb_factors_reshape", None),
    )


def prepare_callback(model, steps, x0_output_dict=None):
    """callback(step, x0, x, total_steps) that tells of progress and shows the latent. x0_output_dict: is given the
    newest estimate as "x0"."""
    previewer = get_previewer(model.load_device, model.model.latent_format)
    bar = ProgressBar(steps)

    def callback(step, x0, x, total_steps):
        if x0_output_dict is not None:
            x0_output_dict["x0"] = x0
        shown = previewer.decode_latent_to_preview_image("JPEG", x0) if previewer is not None else None
        bar.update_absolute(step + 1, total_steps, shown)

    return callback


def set_preview_method(override=None):
    args.preview_method = LatentPreviewMethod.from_string(override) if override else default_preview_method
