"""Patches that are modules of LoRA files, whatever their algorithm. The arithmetic is the library's."""

import torch

from diffusion.patches.lora.adapters import AdapterDoesNotFit, changed


class WeightAdapterBase:
    """weights: what the algorithm is made of. loaded_keys: names in the file."""

    name = ""

    def __init__(self, loaded_keys=(), weights=()):
        self.loaded_keys = set(loaded_keys)
        self.weights = weights

    @classmethod
    def load(cls, x, lora, alpha, dora_scale, loaded_keys=None):
        return None

    def calculate_weight(
        self,
        weight,
        key,
        strength,
        strength_model,
        offset,
        function,
        intermediate_dtype=torch.float32,
        original_weight=None,
    ):
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes a weight")


WeightAdapterTrainBase = torch.nn.Module


class ModuleAdapter(WeightAdapterBase):
    """One module of a file. tensors: by role, as `diffusion.patches.lora.keys` names them."""

    def __init__(self, tensors, loaded_keys=()):
        super().__init__(loaded_keys, tuple(tensors.values()))
        self.tensors = tensors

    def calculate_weight(
        self,
        weight,
        key,
        strength,
        strength_model,
        offset,
        function,
        intermediate_dtype=torch.float32,
        original_weight=None,
    ):
        tensors = {role: tensor.to(weight.device, torch.float32) for role, tensor in self.tensors.items()}
        full = weight.to(torch.float32)
        try:
            made = changed(full, tensors, strength)
        except AdapterDoesNotFit as misfit:
            raise ValueError(f"{key}: {misfit}") from misfit
        return weight + function((made - full).to(weight.dtype))


_ROLES = {
    "lora": ("up", "down", "alpha", "mid", "dora_scale"),
    "loha": ("hada_w1_a", "hada_w1_b", "alpha", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "dora_scale"),
    "lokr": (
        "lokr_w1", "lokr_w2", "alpha", "lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "dora_scale",
    ),
    "glora": ("a1", "a2", "b1", "b2", "alpha", "dora_scale"),
}  # fmt: skip


def from_values(kind, values):
    """The adapter for an algorithm's values in their customary order; None for an unknown algorithm."""
    roles = _ROLES.get(kind)
    if roles is None:
        return None
    found = {role: value for role, value in zip(roles, values, strict=False) if value is not None}
    return ModuleAdapter({role: torch.as_tensor(value) for role, value in found.items()})


class LoRAAdapter(WeightAdapterBase):
    name = "lora"
    _kind = "lora"

    def calculate_weight(self, weight, key, strength, *rest):
        return from_values(self._kind, self.weights).calculate_weight(weight, key, strength, *rest)


class LoHaAdapter(LoRAAdapter):
    name = _kind = "loha"


class LoKrAdapter(LoRAAdapter):
    name = _kind = "lokr"


class GLoRAAdapter(LoRAAdapter):
    name = _kind = "glora"


adapters = [LoRAAdapter, LoHaAdapter, LoKrAdapter, GLoRAAdapter]
adapter_maps = {"LoRA": LoRAAdapter, "LoHa": LoHaAdapter, "LoKr": LoKrAdapter}
