"""Reads a LoRA file and says for which model line it was made."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from diffusion.checkpoints.describe import describe
from diffusion.checkpoints.errors import CheckpointError
from diffusion.checkpoints.read import open_checkpoint
from diffusion.families.text_encoders import TEXT_WIDTHS
from diffusion.patches.lora.keys import grouped

ADAPTER_METADATA = "lora_adapter_metadata"
"""Where diffusers keeps PEFT's configuration, as JSON with names like `unet.lora_alpha`."""

_OTHERS = {
    "joint_transformer_blocks": "AuraFlow",
    "joint_blocks": "SD3",
    "single_transformer_blocks": "Flux",
    "double_blocks": "Flux",
    "single_blocks": "Flux",
    "lora_te3": "SD3 or Flux",
}


@dataclass(frozen=True, eq=False)
class LoraFile:
    """The modules of a LoRA file: names as spelled in the file, tensors by role."""

    path: Path
    modules: Mapping[str, Mapping[str, Tensor]]
    unknown: tuple[str, ...]
    """Names that follow no known grammar."""
    identity: tuple[object, ...]

    @property
    def made_for(self) -> str | None:
        """The model line, told by names and by the width of the context; None if nothing tells."""
        for name in self.modules:
            for sign, line in _OTHERS.items():
                if sign in name:
                    return line
        if any(name.startswith(("lora_te2_", "text_encoder_2.")) for name in self.modules):
            return "SDXL"
        for name, tensors in self.modules.items():
            if name.endswith(("attn2_to_k", "attn2.to_k", "attn2_to_v", "attn2.to_v", "attn2.processor.to_k")):
                factor = next((tensors[role] for role in ("down", "hada_w1_b", "diff") if role in tensors), None)
                if factor is not None:
                    return TEXT_WIDTHS.get(factor.shape[1])
        return None


def open_lora(path: str | Path) -> LoraFile:
    """Read a LoRA file of any layout. Raises CheckpointError: damaged, no LoRA, or not finite."""
    checkpoint = open_checkpoint(path)
    keys, unknown = grouped(checkpoint.weights)
    modules: dict[str, dict[str, Tensor]] = {}
    for module, roles in keys.items():
        if set(roles) <= {"alpha"}:
            unknown.extend(roles.values())
            continue
        modules[module] = {role: checkpoint.weights[key] for role, key in roles.items()}
    if not modules:
        problem = f"this looks like {describe(checkpoint.weights.shapes)}; expected a LoRA"
        raise CheckpointError(checkpoint.path, problem)
    for module, tensors in modules.items():
        for role, tensor in tensors.items():
            if role == "alpha" and tensor.numel() != 1:
                raise CheckpointError(
                    checkpoint.path, f"alpha of {module!r} is {tuple(tensor.shape)}, expected a number"
                )
            if tensor.is_floating_point() and not tensor.float().isfinite().all():
                raise CheckpointError(
                    checkpoint.path, f"{role!r} of {module!r} holds NaN or infinity; the file is unusable"
                )
    _add_alphas(modules, checkpoint.metadata)
    return LoraFile(checkpoint.path, modules, tuple(unknown), checkpoint.identity)


def _add_alphas(modules: Mapping[str, dict[str, Tensor]], metadata: Mapping[str, str]) -> None:
    """PEFT keeps alpha beside the tensors: one for each network, unless a pattern names a module."""
    try:
        config: Any = json.loads(metadata.get(ADAPTER_METADATA, "{}"))
    except (ValueError, RecursionError):
        return
    if not isinstance(config, Mapping):
        return
    table = cast(Mapping[str, Any], config)
    for module, tensors in modules.items():
        part, _, path = module.partition(".")
        alpha: Any = table.get(f"{part}.lora_alpha")
        patterns: Any = table.get(f"{part}.alpha_pattern")
        if isinstance(patterns, Mapping):
            named = cast(Mapping[str, Any], patterns)
            alpha = next((value for name, value in named.items() if path.endswith(name)), alpha)
        if "down" in tensors and "alpha" not in tensors and isinstance(alpha, int | float):
            tensors["alpha"] = torch.tensor(float(alpha))
