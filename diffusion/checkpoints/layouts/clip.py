"""CLIP text encoders: OpenCLIP's naming and older ones of transformers, into that of published transformers files."""

import re
from collections.abc import Iterable, Iterator, Mapping

from diffusion.checkpoints.header import Shape
from diffusion.checkpoints.rename import Part, Table

_OPENCLIP = {
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
}
_OPENCLIP_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}
_LAYER = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")
_TEXT_LAYERS = "text_model.encoder.layers."


def is_clip_text(shapes: Mapping[str, Shape]) -> bool:
    """Whether these tensors, without prefix, are a CLIP text encoder in a layout that `clip_table` knows."""
    return any(
        name in shapes
        for name in (
            "text_model.encoder.layers.0.layer_norm1.weight",
            "encoder.layers.0.layer_norm1.weight",
            "transformer.resblocks.0.ln_1.weight",
        )
    ) and not any(name.startswith(("vision_model.", "embeddings.patch_embedding", "visual.")) for name in shapes)


def clip_table(shapes: Mapping[str, Shape]) -> Table:
    """The table for a CLIP text encoder in whatever layout it is; position counters and `logit_scale` are left out."""
    if "transformer.resblocks.0.ln_1.weight" in shapes:
        return {name: parts for name in shapes if (parts := tuple(_from_openclip(name)))}
    return {name: (Part(ours),) for name in shapes if (ours := _from_transformers(name))}


def _from_transformers(name: str) -> str | None:
    """Early Stable Diffusion checkpoints, and transformers since version 5, leave out the `text_model.` level."""
    if name.endswith("position_ids"):
        return None
    if name.startswith(("text_model.", "text_projection.")):
        return name
    return f"text_model.{name}" if name.startswith(("embeddings.", "encoder.", "final_layer_norm.")) else None


def _from_openclip(name: str) -> Iterator[Part]:
    if name in _OPENCLIP:
        yield Part(_OPENCLIP[name])
    elif name == "text_projection":
        yield Part("text_projection.weight", transposed=True)
    elif name == "text_projection.weight":
        yield Part("text_projection.weight")
    else:
        yield from openclip_layer(name, _TEXT_LAYERS)


def openclip_layer(name: str, layers: str) -> Iterator[Part]:
    """What a tensor of one of OpenCLIP's transformer layers becomes; nothing for others. layers: before the number."""
    if found := _LAYER.fullmatch(name):
        layer, rest = f"{layers}{found[1]}.", found[2]
        module, _, kind = rest.rpartition(".")
        if rest in ("attn.in_proj_weight", "attn.in_proj_bias"):
            kind = rest.removeprefix("attn.in_proj_")
            yield from (Part(f"{layer}self_attn.{q}_proj.{kind}", row, 3) for row, q in enumerate("qkv"))
        elif module in _OPENCLIP_LAYER:
            yield Part(f"{layer}{_OPENCLIP_LAYER[module]}.{kind}")


def openclip_table(ours: Iterable[str]) -> Table:
    """The table by which tensors in our names become OpenCLIP's again."""
    layers = {int(found[1]) for name in ours if (found := re.match(r"text_model\.encoder\.layers\.(\d+)\.", name))}
    kinds = ("weight", "bias")
    each = [f"{module}.{kind}" for module in _OPENCLIP_LAYER for kind in kinds]
    each += [f"attn.in_proj_{kind}" for kind in kinds]
    names = [*_OPENCLIP, "text_projection", *(f"transformer.resblocks.{i}.{rest}" for i in layers for rest in each)]
    return {name: tuple(_from_openclip(name)) for name in names}
