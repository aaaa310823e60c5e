"""`nodes`: class name → class of every node, the classes of our own nodes by their names, and what nodes share."""

import json
import os

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from compat.native_classes import native_class, run_native
from compat.node_classes import node_classes
from compat.world import world

MAX_RESOLUTION = 16384

NODE_CLASS_MAPPINGS = node_classes().mapping
NODE_DISPLAY_NAME_MAPPINGS = node_classes().titles
EXTENSION_WEB_DIRS: dict[str, str] = {}
LOADED_MODULE_DIRS: dict[str, str] = {}


def fill():
    """Classes for every node of ours; those written out below where packs look inside them."""
    classes = node_classes()
    for id, spec in world().nodes.items():
        if not spec.declaration.pack.startswith("custom_nodes."):
            classes.place_ours(id, _WRITTEN.get(id) or native_class(spec), spec.declaration.title)
    for id, kind in _WRITTEN.items():
        kind.spec = world().nodes.get(id)


def __getattr__(name):
    kind = NODE_CLASS_MAPPINGS.get(name)
    if kind is None and name in ("folder_paths", "comfy", "latent_preview", "node_helpers"):
        import importlib

        return importlib.import_module(name)
    if kind is None:
        raise AttributeError(f"module 'nodes' has no attribute {name!r}")
    return kind


def before_node_execution():
    from comfy import model_management

    model_management.throw_exception_if_processing_interrupted()


def interrupt_processing(value=True):
    from comfy import model_management

    model_management.interrupt_current_processing(value)


def common_ksampler(
    model, seed, steps, cfg, sampler_name, scheduler, positive, negative, latent, denoise=1.0, disable_noise=False,
    start_step=None, last_step=None, force_full_denoise=False,
):  # fmt: skip
    """The body of the k-sampler nodes: (LATENT,)."""
    import latent_preview
    from comfy import sample, utils

    image = sample.fix_empty_latent_channels(model, latent["samples"])
    if disable_noise:
        noise = torch.zeros(image.size(), dtype=image.dtype, device="cpu")
    else:
        noise = sample.prepare_noise(image, seed, latent.get("batch_index"))
    samples = sample.sample(
        model, noise, steps, cfg, sampler_name, scheduler, positive, negative, image, denoise=denoise,
        disable_noise=disable_noise, start_step=start_step, last_step=last_step, force_full_denoise=force_full_denoise,
        noise_mask=latent.get("noise_mask"), callback=latent_preview.prepare_callback(model, steps),
        disable_pbar=not utils.PROGRESS_BAR_ENABLED, seed=seed,
    )  # fmt: skip
    return ({**latent, "samples": samples},)


class _Written:
    """Classes whose attributes packs read and set."""

    spec = None

    @classmethod
    def INPUT_TYPES(cls):
        from compat.native_classes import input_types

        return input_types(cls.spec.declaration)


class SaveImage(_Written):
    """Saves PNGs; packs change where and how by its attributes."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image"
    DESCRIPTION = "Saves the input images to your output folder."

    def __init__(self):
        import folder_paths

        self.output_dir = folder_paths.get_output_directory()
        self.type = "output"
        self.prefix_append = ""
        self.compress_level = 4

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "images": ("IMAGE", {"tooltip": "The pictures to save."}),
                "filename_prefix": ("STRING", {"default": "ComfyUI", "tooltip": "How the files' names begin."}),
            },
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def save_images(self, images, filename_prefix="ComfyUI", prompt=None, extra_pnginfo=None):
        import folder_paths
        from comfy.cli_args import args

        filename_prefix += self.prefix_append
        folder, filename, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, self.output_dir, images[0].shape[1], images[0].shape[0]
        )
        saved = []
        for number, image in enumerate(images):
            pixels = (image.cpu().float().numpy() * 255.0).clip(0, 255).astype(np.uint8)
            metadata = None
            if not args.disable_metadata:
                metadata = PngInfo()
                if prompt is not None:
                    metadata.add_text("prompt", json.dumps(prompt))
                for key, value in (extra_pnginfo or {}).items():
                    metadata.add_text(key, json.dumps(value))
            file = f"{filename.replace('%batch_num%', str(number))}_{counter:05}_.png"
            Image.fromarray(pixels).save(
                os.path.join(folder, file), pnginfo=metadata, compress_level=self.compress_level
            )
            saved.append({"filename": file, "subfolder": subfolder, "type": self.type})
            counter += 1
        return {"ui": {"images": saved}}


class PreviewImage(SaveImage):
    """The same into the temporary folder."""

    DESCRIPTION = "Shows the input images."

    def __init__(self):
        import folder_paths

        from storage.outputs import preview_prefix

        super().__init__()
        self.output_dir = folder_paths.get_temp_directory()
        self.type = "temp"
        self.prefix_append = "_temp_" + preview_prefix().rpartition("_")[2]
        self.compress_level = 1

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {"images": ("IMAGE",)},
            "hidden": {"prompt": "PROMPT", "extra_pnginfo": "EXTRA_PNGINFO"},
        }


class LoadImage(_Written):
    """(picture (B, H, W, 3), mask: 1 - alpha)."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "load_image"
    CATEGORY = "image"

    @classmethod
    def INPUT_TYPES(cls):
        import folder_paths

        folder = folder_paths.get_input_directory()
        files = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
        files = folder_paths.filter_files_content_types(files, ["image"])
        return {"required": {"image": (sorted(files), {"image_upload": True})}}

    def load_image(self, image):
        return run_native(self.spec, {"image": image})

    @classmethod
    def IS_CHANGED(cls, image, **_):
        import hashlib

        import folder_paths

        with open(folder_paths.get_annotated_filepath(image), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @classmethod
    def VALIDATE_INPUTS(cls, image, **_):
        import folder_paths

        return True if folder_paths.exists_annotated_filepath(image) else f"Invalid image file: {image}"


class LoraLoader(_Written):
    """Keeps the file it loaded last."""

    RETURN_TYPES = ("MODEL", "CLIP")
    FUNCTION = "load_lora"
    CATEGORY = "loaders"
    DESCRIPTION = "Changes a model and its text encoders by a LoRA."

    def __init__(self):
        self.loaded_lora = None

    def load_lora(self, model, clip, lora_name, strength_model, strength_clip):
        import folder_paths
        from comfy import sd, utils

        if strength_model == 0 and strength_clip == 0:
            return model, clip
        path = folder_paths.get_full_path_or_raise("loras", lora_name)
        if self.loaded_lora is None or self.loaded_lora[0] != path:
            self.loaded_lora = (path, utils.load_torch_file(path, safe_load=True))
        return sd.load_lora_for_models(model, clip, self.loaded_lora[1], strength_model, strength_clip)


class LoraLoaderModelOnly(LoraLoader):
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "load_lora_model_only"

    def load_lora_model_only(self, model, lora_name, strength_model):
        return (self.load_lora(model, None, lora_name, strength_model, 0)[0],)


class VAEEncode(_Written):
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "encode"
    CATEGORY = "latent"

    def encode(self, vae, pixels):
        return ({"samples": vae.encode(pixels[:, :, :, :3])},)

    @staticmethod
    def vae_encode_crop_pixels(pixels):
        """Cut around the centre to whole latent cells."""
        from nodes.latent_vae import cropped

        return cropped(pixels, 8)


class VAEDecode(_Written):
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "decode"
    CATEGORY = "latent"

    def decode(self, vae, samples):
        images = vae.decode(samples["samples"])
        return (images.reshape(-1, *images.shape[-3:]) if images.ndim == 5 else images,)


class CLIPTextEncode(_Written):
    RETURN_TYPES = ("CONDITIONING",)
    FUNCTION = "encode"
    CATEGORY = "conditioning"

    def encode(self, clip, text):
        if clip is None:
            raise RuntimeError("there are no text encoders (clip is None): the checkpoint has none")
        return (clip.encode_from_tokens_scheduled(clip.tokenize(text)),)


class KSampler(_Written):
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "sampling"

    def sample(self, model, seed, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, denoise=1.0):
        return common_ksampler(
            model, seed, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, denoise=denoise
        )


class KSamplerAdvanced(_Written):
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "sample"
    CATEGORY = "sampling"

    def sample(
        self, model, add_noise, noise_seed, steps, cfg, sampler_name, scheduler, positive, negative, latent_image,
        start_at_step, end_at_step, return_with_leftover_noise, denoise=1.0,
    ):  # fmt: skip
        return common_ksampler(
            model, noise_seed, steps, cfg, sampler_name, scheduler, positive, negative, latent_image, denoise=denoise,
            disable_noise=add_noise == "disable", start_step=start_at_step, last_step=end_at_step,
            force_full_denoise=return_with_leftover_noise != "enable",
        )  # fmt: skip


class ImageScale(_Written):
    upscale_methods = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
    crop_methods = ["disabled", "center"]
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"

    def upscale(self, image, upscale_method, width, height, crop):
        return run_native(
            self.spec,
            {"image": image, "upscale_method": upscale_method, "width": width, "height": height, "crop": crop},
        )


class ImageScaleBy(_Written):
    upscale_methods = ImageScale.upscale_methods
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "upscale"
    CATEGORY = "image/upscaling"

    def upscale(self, image, upscale_method, scale_by):
        return run_native(self.spec, {"image": image, "upscale_method": upscale_method, "scale_by": scale_by})


class EmptyLatentImage(_Written):
    RETURN_TYPES = ("LATENT",)
    FUNCTION = "generate"
    CATEGORY = "latent"

    def __init__(self):
        from comfy import model_management

        self.device = model_management.intermediate_device()

    def generate(self, width, height, batch_size=1):
        return ({"samples": torch.zeros([batch_size, 4, height // 8, width // 8], device=self.device)},)


_WRITTEN = {
    kind.__name__: kind
    for kind in (
        SaveImage, PreviewImage, LoadImage, LoraLoader, LoraLoaderModelOnly, VAEEncode, VAEDecode, CLIPTextEncode,
        KSampler, KSamplerAdvanced, ImageScale, ImageScaleBy, EmptyLatentImage,
    )
}  # fmt: skip


def load_custom_node(*args, **kwargs):
    raise RuntimeError("packs are loaded when a worker starts; a pack cannot load others")


def get_module_name(module_path):
    return os.path.splitext(os.path.basename(os.path.normpath(module_path)))[0]
