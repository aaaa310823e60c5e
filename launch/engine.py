"""Builds what a worker carries: nodes, cache, and what nodes are given. Imports torch, so only workers import this."""

import logging
from collections.abc import Mapping

import psutil
import torch

from diffusion.store import ModelStore, Precision
from execution.cache import Cache, CacheMode, KeepBytes, KeepCount, KeepLastPrompt, KeepNothing
from execution.engine import GraphEngine
from execution.executor import Executor
from execution.spec import NodeSpec
from launch.packs import load_packs
from launch.settings import Caching, Devices, Settings
from launch.system import system
from nodes.catalogue import all_nodes
from nodes.previews import Previews
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs

log = logging.getLogger(__name__)

SHARE_FOR_RESULTS = 0.2
"""Of this machine's memory; models and the system need the rest."""


def build_engine(settings: Settings, folders: Folders) -> GraphEngine:
    """An engine with every node there is. Takes seconds: nodes import torch, packs import what they like."""
    inputs = Inputs(folders.input, folders.output, folders.temp)
    outputs = Outputs(folders.output, folders.temp, disable_metadata=not settings.metadata)
    store = ModelStore(precision(settings.devices))
    executor = Executor(
        with_packs({spec.id: spec for spec in all_nodes()}, settings, folders),
        Cache(cache_mode(settings.caching)),
        capabilities={
            Inputs: inputs,
            Outputs: outputs,
            Folders: folders,
            ModelStore: store,
            Previews: Previews(settings.previews.method, settings.previews.size, folders, store),
        },
        around=torch.inference_mode,
        listing=folders.listing,
        file_exists=inputs.has,
    )
    return GraphEngine(executor, lambda: system(settings), unload=store.forget)


def with_packs(nodes: Mapping[str, NodeSpec], settings: Settings, folders: Folders) -> dict[str, NodeSpec]:
    """Our nodes and those of packs. A name that is taken stays with who had it first, and the log says so."""
    found = dict(nodes)
    for pack in load_packs(folders.directories("custom_nodes"), settings.packs):
        for spec in pack.specs:
            if spec.id in found:
                log.warning("pack %s: node %s is already in %s", pack.name, spec.id, found[spec.id].declaration.pack)
            else:
                found[spec.id] = spec
    return found


def precision(devices: Devices) -> Precision:
    """What weights are held in: as asked for, else as is best for the device."""
    usual = Precision()
    return Precision(
        network=dtype(devices.network, usual.network),
        text_encoders=dtype(devices.text_encoder, usual.text_encoders),
        autoencoder=dtype(devices.autoencoder, usual.autoencoder),
    )


def dtype(name: str, usual: torch.dtype | None) -> torch.dtype | None:
    if name.startswith("float8"):
        log.warning("weights cannot be held in %s yet; holding them in %s", name, usual)
        return usual
    return usual if name == "auto" else getattr(torch, name)


def cache_mode(caching: Caching) -> CacheMode:
    match caching.mode:
        case "classic":
            return KeepLastPrompt()
        case "lru":
            return KeepCount(caching.entries)
        case "none":
            return KeepNothing()
        case "ram":
            return KeepBytes(caching.budget or int(SHARE_FOR_RESULTS * psutil.virtual_memory().total))
