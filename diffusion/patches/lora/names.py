"""How LoRA files spell the modules of a network: for each module of ours, every name under which it is known."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from diffusion.checkpoints.joins import Rows, numbered, rows_of
from diffusion.checkpoints.packing import true_weights
from diffusion.families.diffusers_layout import diffusers_prefixes, rename
from diffusion.handles import Model, TextEncoders
from diffusion.models.unet_config import UNetConfig

# Before a module's path, by text encoder: as kohya's scripts, diffusers and LyCORIS write them.
_TEXT_FLAT: Mapping[str, tuple[str, ...]] = {
    "clip_l": ("lora_te_", "lora_te1_"),
    "clip_h": ("lora_te_", "lora_te1_"),
    "clip_g": ("lora_te2_",),
}
_TEXT_DOTTED: Mapping[str, tuple[str, ...]] = {
    "clip_l": ("text_encoder.",),
    "clip_h": ("text_encoder.",),
    "clip_g": ("text_encoder_2.",),
}
# Early diffusers called the projections of a text encoder as those of a UNet.
_OLD_TEXT = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a file's module changes: one of ours, or some of its rows."""

    module: str
    rows: Rows | None = None


def network_modules(model: Model) -> dict[str, Target]:
    """Every spelling of a module of the diffusion network, or of a part that others keep apart -> what it is."""
    prefixes = diffusers_prefixes(model.config) if isinstance(model.config, UNetConfig) else {}
    shapes = true_weights(model.network).shapes
    spelled: dict[str, Target] = {}
    for module in _modules(shapes):
        paths = {module: Target(module)}
        if (theirs := rename(f"{module}.", prefixes)) is not None:
            paths[theirs.removesuffix(".")] = Target(module)
        if pieces := numbered(model.family.modules, module):
            total = shapes[f"{module}.weight"][0]
            for name, rows in rows_of(pieces, total).items():
                paths[name] = Target(module, rows if len(pieces) > 1 else None)
        for path, target in paths.items():
            for spelling in _network_spellings(path):
                spelled.setdefault(spelling, target)
    return spelled


def _network_spellings(path: str) -> Iterator[str]:
    flat = path.replace(".", "_")
    yield from (f"lora_unet_{flat}", f"lora_transformer_{flat}", f"lycoris_{flat}", f"lycoris_unet_{flat}")
    for prefix in ("unet.", "transformer.", "diffusion_model.", "model.diffusion_model.", "base_model.model.", ""):
        yield prefix + path
        if ".attn" in path:
            # The first generation hung its layers on attention processors, and had no index on the output layer.
            head, _, projection = path.removesuffix(".0").rpartition(".")
            yield f"{prefix}{head}.processor.{projection}"


def text_modules(encoders: TextEncoders, encoder: str) -> dict[str, str]:
    """Every spelling of a module of one text encoder -> its own name."""
    flat_prefixes, dotted_prefixes = _TEXT_FLAT.get(encoder, ()), _TEXT_DOTTED.get(encoder, ())
    if encoder == "t5xxl":
        # Third of SD3's encoders; as the second of Flux's it is called either.
        places = (3,) if "clip_g" in encoders.networks else (3, 2)
        flat_prefixes, dotted_prefixes = (
            tuple(f"{start}{place}{end}" for place in places)
            for start, end in (("lora_te", "_"), ("text_encoder_", "."))
        )
    spelled: dict[str, str] = {}
    for module in _modules(encoders.networks[encoder].state_dict()):
        flat = module.replace(".", "_")
        head, _, last = module.rpartition(".")
        for prefix in flat_prefixes:
            spelled[prefix + flat] = module
        for prefix in dotted_prefixes:
            for path in (module, module.removeprefix("text_model."), f"{head}.{_OLD_TEXT.get(last, last)}"):
                spelled[prefix + path] = module
                spelled[f"lycoris_{prefix.removesuffix('.')}_{path.replace('.', '_')}"] = module
    return spelled


def _modules(names: Iterable[str]) -> list[str]:
    found = dict.fromkeys(name.rpartition(".")[0] for name in names if name.endswith((".weight", ".bias")))
    return list(found)


def is_text(module: str) -> bool:
    """Whether a file's module name is one of a text encoder, of whatever model."""
    return module.startswith(("lora_te", "text_encoder", "lycoris_text_encoder", "lora_prior_te"))
