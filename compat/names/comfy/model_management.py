"""Devices, precisions, and what is in memory, by the names packs know.

Residency is the library's business: networks come to their device when they run. These functions answer for it, and
keep the list of what packs asked to be loaded, because packs read and change that list.
"""

import gc
import platform
import weakref
from enum import Enum

import psutil
import torch

from comfy.cli_args import args
from compat.signals import InterruptProcessingException
from compat.world import running, world
from execution.context import JobInterrupted

__all__ = ["InterruptProcessingException"]


class VRAMState(Enum):
    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


class CPUState(Enum):
    GPU = 0
    CPU = 1
    MPS = 2


def _cpu_state():
    if args.cpu:
        return CPUState.CPU
    if torch.cuda.is_available():
        return CPUState.GPU
    return CPUState.MPS if torch.backends.mps.is_available() else CPUState.CPU


cpu_state = _cpu_state()
vram_state = VRAMState.NORMAL_VRAM if cpu_state == CPUState.GPU else VRAMState.DISABLED
set_vram_to = VRAMState.NORMAL_VRAM
lowvram_available = True
directml_enabled = False
xpu_available = False
npu_available = False
mlu_available = False
XFORMERS_IS_AVAILABLE = False
XFORMERS_VERSION = ""
XFORMERS_ENABLED_VAE = False
ENABLE_PYTORCH_ATTENTION = True
PRIORITIZE_FP16 = False
DISABLE_SMART_MEMORY = False
SUPPORT_FP8_OPS = False
NUM_STREAMS = 0
OOM_EXCEPTION = torch.OutOfMemoryError
total_vram = 0
total_ram = psutil.virtual_memory().total / 2**20
EXTRA_RESERVED_VRAM = 400 * 2**20
VAE_DTYPES = [torch.float32]
FLOAT8_TYPES = [
    getattr(torch, name) for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
    if hasattr(torch, name)
]  # fmt: skip


# Devices


def get_torch_device():
    if cpu_state == CPUState.MPS:
        return torch.device("mps")
    return torch.device("cpu") if cpu_state == CPUState.CPU else torch.device("cuda", torch.cuda.current_device())


def get_all_torch_devices(exclude_current=False):
    devices = (
        [torch.device("cuda", i) for i in range(torch.cuda.device_count())] if is_nvidia() else [get_torch_device()]
    )
    return [device for device in devices if not exclude_current or device != get_torch_device()]


def get_torch_device_name(device):
    if getattr(device, "type", "") == "cuda":
        return f"{device} {torch.cuda.get_device_name(device)}"
    return getattr(device, "type", str(device))


def is_intel_xpu():
    return False


def is_ascend_npu():
    return False


def is_mlu():
    return False


def is_ixuca():
    return False


def is_nvidia():
    return cpu_state == CPUState.GPU and bool(torch.version.cuda)


def is_amd():
    return cpu_state == CPUState.GPU and bool(torch.version.hip)


def amd_min_version(device=None, min_rdna_version=0):
    return False


def is_wsl():
    return "microsoft" in platform.uname().release.lower()


def is_directml_enabled():
    return False


def is_device_type(device, type):
    return getattr(device, "type", None) == type


def is_device_cpu(device):
    return is_device_type(device, "cpu")


def is_device_mps(device):
    return is_device_type(device, "mps")


def is_device_cuda(device):
    return is_device_type(device, "cuda")


def is_device_xpu(device):
    return is_device_type(device, "xpu")


def mps_mode():
    return cpu_state == CPUState.MPS


def cpu_mode():
    return cpu_state == CPUState.CPU


def get_autocast_device(dev):
    return getattr(dev, "type", "cuda")


def _cpu():
    return torch.device("cpu")


def unet_offload_device():
    return get_torch_device() if args.gpu_only else _cpu()


def unet_inital_load_device(parameters, dtype):
    return unet_offload_device()


def text_encoder_device():
    return get_torch_device() if should_use_fp16(prioritize_performance=False) else _cpu()


def text_encoder_offload_device():
    return get_torch_device() if args.gpu_only else _cpu()


def text_encoder_initial_device(load_device, offload_device, model_size=0):
    return offload_device


def vae_device():
    return _cpu() if args.cpu_vae else get_torch_device()


def vae_offload_device():
    return get_torch_device() if args.gpu_only else _cpu()


def intermediate_device():
    return get_torch_device() if args.gpu_only else _cpu()


def intermediate_dtype():
    return torch.float32


def maximum_vram_for_weights(device=None):
    return get_total_memory(device) * 0.88 - minimum_inference_memory()


# Precisions


def dtype_size(dtype):
    return torch.empty((), dtype=dtype).element_size() if dtype is not None else 4


def supports_cast(device, dtype):
    return True


def supports_dtype(device, dtype):
    return dtype == torch.float32 or (not is_device_cpu(device) and dtype in (torch.float16, torch.bfloat16))


def supports_fp8_compute(device=None):
    return is_nvidia() and torch.cuda.get_device_capability(device) >= (8, 9)


def extended_fp16_support():
    return False


def should_use_fp16(device=None, model_params=0, prioritize_performance=True, manual_cast=False):
    if (device is not None and is_device_cpu(device)) or cpu_mode() or args.force_fp32:
        return False
    return True


def should_use_bf16(device=None, model_params=0, prioritize_performance=True, manual_cast=False):
    if (device is not None and is_device_cpu(device)) or not is_nvidia():
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def pick_weight_dtype(dtype, fallback_dtype, device=None):
    return fallback_dtype if dtype is None else dtype


def unet_dtype(
    device=None, model_params=0, supported_dtypes=(torch.float16, torch.bfloat16, torch.float32), weight_dtype=None
):
    if weight_dtype in FLOAT8_TYPES:
        return weight_dtype
    for dtype, usable in ((torch.float16, should_use_fp16), (torch.bfloat16, should_use_bf16)):
        if dtype in supported_dtypes and usable(device, model_params):
            return dtype
    return torch.float32


def unet_manual_cast(weight_dtype, inference_device, supported_dtypes=(torch.float16, torch.bfloat16, torch.float32)):
    """None where weights of this dtype can be computed with, else what to compute in."""
    if weight_dtype in (torch.float32, torch.float64):
        return None
    usable = {torch.float16: should_use_fp16, torch.bfloat16: should_use_bf16}
    if weight_dtype in usable and usable[weight_dtype](inference_device, prioritize_performance=False):
        return None
    for dtype in supported_dtypes:
        if dtype in usable and usable[dtype](inference_device):
            return dtype
    return torch.float32


def text_encoder_dtype(device=None):
    return torch.float16 if should_use_fp16(device, prioritize_performance=False) else torch.float32


def vae_dtype(device=None, allowed_dtypes=[]):
    for dtype in allowed_dtypes:
        if dtype == torch.float16 and should_use_fp16(device):
            return dtype
        if dtype == torch.bfloat16 and should_use_bf16(device):
            return dtype
    return torch.float32


def force_upcast_attention_dtype():
    return None


def xformers_enabled():
    return False


def xformers_enabled_vae():
    return False


def pytorch_attention_enabled():
    return True


def pytorch_attention_enabled_vae():
    return True


def pytorch_attention_flash_attention():
    return is_nvidia()


def sage_attention_enabled():
    return False


def flash_attention_enabled():
    return False


# Casting


def device_supports_non_blocking(device):
    return is_device_cuda(device)


def device_should_use_non_blocking(device):
    return False


def force_channels_last():
    return bool(args.force_channels_last)


def cast_to(weight, dtype=None, device=None, non_blocking=False, copy=False, stream=None):
    if device is None:
        device = weight.device
    return weight.to(device=device, dtype=dtype or weight.dtype, copy=copy, non_blocking=non_blocking)


def cast_to_device(tensor, device, dtype, copy=False):
    return tensor.to(device=device, dtype=dtype, copy=copy)


def get_offload_stream(device):
    return None


def current_stream(device):
    return torch.cuda.current_stream(device) if is_device_cuda(device) else None


def sync_stream(device, stream):
    pass


# Memory


def get_total_memory(dev=None, torch_total_too=False):
    dev = dev or get_torch_device()
    total = torch.cuda.mem_get_info(dev)[1] if is_device_cuda(dev) else psutil.virtual_memory().total
    return (total, total) if torch_total_too else total


def get_free_memory(dev=None, torch_free_too=False):
    """Bytes."""
    dev = dev or get_torch_device()
    if not is_device_cuda(dev):
        free = psutil.virtual_memory().available
        return (free, free) if torch_free_too else free
    stats = torch.cuda.memory_stats(dev)
    of_torch = stats.get("reserved_bytes.all.current", 0) - stats.get("active_bytes.all.current", 0)
    free = torch.cuda.mem_get_info(dev)[0] + of_torch
    return (free, of_torch) if torch_free_too else free


total_vram = get_total_memory() / 2**20


def extra_reserved_memory():
    return EXTRA_RESERVED_VRAM


def minimum_inference_memory():
    return 2**30 + extra_reserved_memory()


def module_size(module):
    return sum(tensor.nelement() * tensor.element_size() for tensor in module.state_dict().values())


class LoadedModel:
    """A patcher that was asked for. Does not keep it alive."""

    def __init__(self, model):
        self._model = weakref.ref(model)
        self.device = model.load_device
        self.currently_used = True
        self.real_model = None

    @property
    def model(self):
        return self._model()

    def is_dead(self):
        return self.model is None

    def model_memory(self):
        return self.model.model_size()

    def model_loaded_memory(self):
        return self.model.loaded_size()

    def model_offloaded_memory(self):
        return self.model_memory() - self.model_loaded_memory()

    def model_memory_required(self, device):
        return 0 if getattr(self.model, "current_loaded_device", lambda: None)() == device else self.model_memory()

    def model_load(self, lowvram_model_memory=0, force_patch_weights=False):
        self.real_model = self.model.patch_model(device_to=self.device, force_patch_weights=force_patch_weights)
        return self.real_model

    def should_reload_model(self, force_patch_weights=False):
        return False

    def model_unload(self, memory_to_free=None, unpatch_weights=True):
        if self.model is not None:
            self.model.detach(unpatch_weights)
        self.real_model = None
        return True

    def model_use_more_vram(self, extra_memory, force_patch_weights=False):
        return 0

    def __eq__(self, other):
        return isinstance(other, LoadedModel) and self.model is other.model

    __hash__ = object.__hash__


current_loaded_models = []


def loaded_models(only_currently_used=False):
    return [entry.model for entry in current_loaded_models if entry.currently_used or not only_currently_used]


def load_models_gpu(
    models, memory_required=0, force_patch_weights=False, minimum_memory_required=None, force_full_load=False
):
    """Apply what patchers carry and note them as loaded; the newest first."""
    cleanup_models_gc()
    for model in models:
        if model is None or not hasattr(model, "load_device"):
            continue
        entry = next((known for known in current_loaded_models if known.model is model), None)
        if entry is None:
            entry = LoadedModel(model)
        else:
            current_loaded_models.remove(entry)
        current_loaded_models.insert(0, entry)
        entry.currently_used = True
        entry.model_load(force_patch_weights=force_patch_weights)


def load_model_gpu(model):
    return load_models_gpu([model])


def free_memory(memory_required, device, keep_loaded=[]):
    """Let go of what packs had loaded, until so many bytes are free. Returns the entries."""
    gone = []
    for entry in list(reversed(current_loaded_models)):
        if get_free_memory(device) >= memory_required:
            break
        if entry not in keep_loaded and (entry.is_dead() or entry.device == device):
            entry.model_unload()
            current_loaded_models.remove(entry)
            gone.append(entry)
    if gone:
        soft_empty_cache()
    return gone


def use_more_memory(extra_memory, loaded_models, device):
    pass


def offloaded_memory(loaded_models, device):
    return 0


def unload_all_models():
    for entry in list(current_loaded_models):
        entry.model_unload()
    current_loaded_models.clear()
    world().store.forget()
    soft_empty_cache()


def unload_model_clones(model, unload_weights_only=True, force_unload=True):
    return True


def unload_model_and_clones(model, unload_additional_models=True, all_devices=False):
    for entry in list(current_loaded_models):
        if entry.model is None or entry.model.is_clone(model):
            entry.model_unload()
            current_loaded_models.remove(entry)


def cleanup_models():
    cleanup_models_gc()


def cleanup_models_gc():
    current_loaded_models[:] = [
        entry for entry in current_loaded_models if not isinstance(entry, LoadedModel) or not entry.is_dead()
    ]


def archive_model_dtypes(model):
    pass


def soft_empty_cache(force=False):
    if cpu_state == CPUState.GPU:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.ipc_collect()
    elif cpu_state == CPUState.MPS:
        torch.mps.empty_cache()


def debug_memory_summary():
    return torch.cuda.memory_summary() if is_nvidia() else ""


def in_training():
    return False


def raise_non_oom(error):
    """Pass on what is no lack of memory."""
    if not isinstance(error, OOM_EXCEPTION):
        raise error


# Cancelling

_asked = False


def interrupt_current_processing(value=True):
    """Ask the running job to end, or take that back."""
    global _asked
    _asked = value


def processing_interrupted():
    run = running()
    return _asked or (run is not None and run.should_stop())


def throw_exception_if_processing_interrupted():
    """Raises InterruptProcessingException, once for each time it was asked."""
    global _asked
    if _asked:
        _asked = False
        raise InterruptProcessingException
    run = running()
    if run is not None:
        try:
            run.check()
        except JobInterrupted as asked:
            raise InterruptProcessingException from asked
