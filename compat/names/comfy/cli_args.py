"""The command line as packs read it: `args` has an attribute for every flag they ask for."""

import argparse
from enum import Enum

from compat.world import world


class LatentPreviewMethod(Enum):
    NoPreviews = "none"
    Auto = "auto"
    Latent2RGB = "latent2rgb"
    TAESD = "taesd"

    @classmethod
    def from_string(cls, value):
        return next((member for member in cls if member.value == value), None)


class PerformanceFeature(Enum):
    Fp16Accumulation = "fp16_accumulation"
    Fp8MatrixMultiplication = "fp8_matrix_mult"
    CublasOps = "cublas_ops"
    AutoTune = "autotune"


# Flags of the interface that change nothing here, at the values they have when nobody gives them.
_ABSENT = {
    "auto_launch": False,
    "async_offload": False,
    "bf16_text_enc": False,
    "bf16_unet": False,
    "bf16_vae": False,
    "comfy_api_base": "https://api.comfy.org",
    "cpu_vae": False,
    "cuda_device": None,
    "cuda_malloc": False,
    "database_url": "",
    "debug_hang": False,
    "default_device": None,
    "default_hashing_function": "sha256",
    "deterministic": False,
    "directml": None,
    "disable_api_nodes": True,
    "disable_async_offload": True,
    "disable_auto_launch": True,
    "disable_cuda_malloc": True,
    "disable_ipex_optimize": False,
    "disable_mmap": False,
    "disable_smart_memory": False,
    "disable_xformers": True,
    "dont_print_server": False,
    "dont_upcast_attention": False,
    "enable_compress_response_body": False,
    "fast": set(),
    "force_channels_last": False,
    "force_non_blocking": False,
    "force_upcast_attention": False,
    "fp16_text_enc": False,
    "fp16_unet": False,
    "fp16_vae": False,
    "fp32_text_enc": False,
    "fp32_unet": False,
    "fp32_vae": False,
    "fp64_unet": False,
    "fp8_e4m3fn_text_enc": False,
    "fp8_e4m3fn_unet": False,
    "fp8_e5m2_text_enc": False,
    "fp8_e5m2_unet": False,
    "fp8_e8m0fnu_unet": False,
    "front_end_version": "",
    "gpu_only": False,
    "highvram": False,
    "log_stdout": False,
    "lowvram": False,
    "mmap_torch_files": False,
    "normalvram": False,
    "novram": False,
    "oneapi_device_selector": None,
    "quick_test_for_ci": False,
    "reserve_vram": None,
    "supports_fp8_compute": False,
    "use_flash_attention": False,
    "use_pytorch_cross_attention": True,
    "use_quad_cross_attention": False,
    "use_sage_attention": False,
    "use_split_cross_attention": False,
    "windows_standalone_build": False,
}


class Flags(argparse.Namespace):
    """A flag nobody heard of was not given."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def _given():
    flags = {**_ABSENT, **world().flags}
    flags["preview_method"] = LatentPreviewMethod.from_string(flags.get("preview_method", "auto"))
    flags.setdefault("preview_size", 512)
    flags.setdefault("disable_metadata", world().outputs.disable_metadata)
    for name, value in (("listen", "127.0.0.1"), ("port", 8188), ("cpu", False), ("base_directory", None)):
        flags.setdefault(name, value)
    return flags


args = Flags(**_given())
parser = argparse.ArgumentParser()


def enables_dynamic_vram():
    return False
