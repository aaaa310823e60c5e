"""All native nodes: the modules that hold them, named one by one."""

from types import ModuleType
from typing import Any

from execution.spec import NodeSpec
from nodes import (
    conditioning,
    conditioning_sets,
    conditioning_transformers,
    controlnet,
    gligen,
    guidance,
    guidance_layers,
    guiders,
    hypernetwork,
    image,
    image_animation,
    image_batch,
    image_files,
    image_postprocessing,
    image_transform,
    image_upscaling,
    latent,
    latent_advanced,
    latent_batch,
    latent_files,
    latent_vae,
    loaders,
    lora,
    mask,
    model_merging,
    model_merging_blocks,
    model_patches,
    model_sampling,
    primitives,
    sampling,
    sampling_samplers,
    sampling_schedules,
    strings,
    style,
    vision,
)
from nodes.declare import Node
from nodes.signature import DeclarationError

MODULES: tuple[ModuleType, ...] = (
    conditioning,
    conditioning_sets,
    conditioning_transformers,
    controlnet,
    gligen,
    guidance,
    guidance_layers,
    guiders,
    hypernetwork,
    image,
    image_animation,
    image_batch,
    image_files,
    image_postprocessing,
    image_transform,
    image_upscaling,
    latent,
    latent_advanced,
    latent_batch,
    latent_files,
    latent_vae,
    loaders,
    lora,
    mask,
    model_merging,
    model_merging_blocks,
    model_patches,
    model_sampling,
    primitives,
    sampling,
    sampling_samplers,
    sampling_schedules,
    strings,
    style,
    vision,
)


def all_nodes() -> list[NodeSpec]:
    """One spec per node, modules in the order above, nodes in the order they are written."""
    specs: dict[str, NodeSpec] = {}
    for module in MODULES:
        for spec in nodes_of(module):
            if spec.id in specs:
                raise DeclarationError(f"{spec.id} is declared twice, the second time in {module.__name__}")
            specs[spec.id] = spec
    return list(specs.values())


def nodes_of(module: ModuleType) -> list[NodeSpec]:
    found: list[Node[Any, Any]] = [value for value in vars(module).values() if isinstance(value, Node)]
    return [each.spec for each in found]
