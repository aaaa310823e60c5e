"""Builds what a worker carries: nodes, cache, and what nodes are given. Imports torch, so only workers import this."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch

from compat.found import Wanted
from compat.inside.extended import extend
from compat.install import install
from compat.pack_side import LoadedPacks
from compat.packs import load_packs
from compat.prompt_server import PromptServer
from compat.world import World
from diffusion.store import ModelStore, Precision
from diffusion.text.tokenizers import TokenizerFolders
from execution.cache import Cache, CacheMode, KeepBytes, KeepCount, KeepLastPrompt, KeepNothing
from execution.engine import GraphEngine
from execution.executor import Executor
from execution.node_run import executing
from launch.ahead import ReadAhead
from launch.flags import flags
from launch.folders import TOKENIZERS
from launch.idle import WhenIdle
from launch.memory import SHARE_FOR_MODELS, card, keepers, reported, unloading
from launch.settings import Caching, Devices, Packs, Settings
from launch.shelf import DiskShelf, edition
from launch.system import system
from nodes.catalogue import all_nodes
from nodes.previews import Previews
from storage.blobs import Blobs
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs
from storage.unpublished import Unpublished

log = logging.getLogger(__name__)

HOME = Path(__file__).parents[1]
SHARE_FOR_RESULTS = 0.2
"""Of this machine's memory; models and the system need the rest."""


def build_engine(settings: Settings, folders: Folders, door: Path | None = None) -> GraphEngine:
    """An engine with every node there is. Takes seconds: nodes import torch, packs import what they like.

    door: a private folder for the socket at which packs answer requests; None where nobody sends any."""
    inputs = Inputs(folders.input, folders.output, folders.temp)
    unpublished = Unpublished(settings.paths.state / "unpublished")

    def note(part: Path, target: Path) -> None:
        run = executing.get()
        if run is not None and door is not None:  # without a server nobody files jobs, and none is begun again
            unpublished.note(run.prompt_id, part, target)

    outputs = Outputs(folders.output, folders.temp, not settings.metadata, note)
    tokenizers = TokenizerFolders((*folders.directories("text_encoders"), folders.models / TOKENIZERS))
    device = card(settings)
    found = keepers(settings, device)
    store = ModelStore(
        precision(settings.devices, on_card=device is not None),
        int(SHARE_FOR_MODELS * psutil.virtual_memory().total),
        tokenizers,
        found,
    )
    unload = unloading(found, store.forget)
    idle = WhenIdle(settings.memory.idle, unload)
    nodes = {spec.id: spec for spec in all_nodes()}
    capabilities: dict[type, object] = {
        Inputs: inputs,
        Outputs: outputs,
        Folders: folders,
        ModelStore: store,
        Previews: Previews(settings.previews.method, settings.previews.size, folders, store),
    }
    install(World(folders, inputs, outputs, store, flags(settings), nodes, capabilities))
    loaded = load_packs(folders.directories("custom_nodes"), wanted(settings.packs), nodes)
    extend(nodes)
    if door is not None:
        PromptServer.instance.pack_app.open(door)
    executor = Executor(
        nodes,
        Cache(cache_mode(settings.caching), shelf=shelf_of(settings, folders)),
        capabilities,
        around=lambda: around_a_job(idle),
        listing=folders.listing,
        file_exists=inputs.has,
    )
    return GraphEngine(
        executor,
        lambda: system(settings),
        unload=unload,
        packs=LoadedPacks(loaded, PromptServer.instance),
        memory=lambda: reported(found, store.recent()),
        read_ahead=ReadAhead(folders, lambda: psutil.virtual_memory().available),
    )


def shelf_of(settings: Settings, folders: Folders) -> DiskShelf | None:
    """Where results outlive the process; None when they shall not."""
    if not settings.caching.disk:
        return None
    sources = [HOME / package for package in ("compat", "diffusion", "execution", "nodes", "storage")]
    device = "cpu" if settings.devices.cpu or not torch.cuda.is_available() else torch.cuda.get_device_name()
    current = edition([*sources, *folders.directories("custom_nodes")], torch.__version__, settings.devices, device)
    age = settings.caching.disk_days * 24 * 3600
    blobs = Blobs(settings.paths.state / "results", current, settings.caching.disk, age)
    try:
        blobs.open()
    except OSError as error:
        log.warning("Results are not kept on disk: %s", error)
        return None
    return DiskShelf(blobs)


def wanted(packs: Packs) -> Wanted:
    return Wanted(packs.enabled, packs.whitelist)


@contextmanager
def around_a_job(idle: WhenIdle) -> Generator[None]:
    with idle.job(), torch.inference_mode():
        yield


def precision(devices: Devices, on_card: bool) -> Precision:
    """What weights are held in: as asked for, else as is best for the device."""
    # A card computes in the formats that files come in; autoencoders overflow in float16.
    usual = Precision(None, None, torch.bfloat16, torch.float16) if on_card else Precision()
    return Precision(
        network=dtype(devices.network, usual.network),
        text_encoders=dtype(devices.text_encoder, usual.text_encoders),
        autoencoder=dtype(devices.autoencoder, torch.float32 if devices.cpu_autoencoder else usual.autoencoder),
        compute=usual.compute,
    )


def dtype(name: str, usual: torch.dtype | None) -> torch.dtype | None:
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
