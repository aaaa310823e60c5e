"""Hypernetworks on models: menu `loaders`."""

from typing import Annotated

from diffusion.patches.hypernetwork import open_hypernetwork, with_hypernetwork
from nodes.declare import node
from nodes.loaders import find, stamp
from nodes.markers import Choice, Given, Number
from nodes.wire import Model
from storage.folders import Folders


@node("HypernetworkLoader", category="loaders")
def hypernetwork_loader(
    *,
    model: Model,
    hypernetwork_name: Annotated[str, Choice.of("hypernetworks")],
    strength: Annotated[float, Number(-10.0, 10.0, step=0.01)] = 1.0,
    folders: Given[Folders],
) -> Model:
    """Change a model by a hypernetwork.

    strength: 0 leaves the model as it is.
    """
    return with_hypernetwork(model, open_hypernetwork(find(folders, "hypernetworks", hypernetwork_name)), strength)


@hypernetwork_loader.fingerprint
def _(*, hypernetwork_name: str, folders: Folders) -> object:
    return stamp(find(folders, "hypernetworks", hypernetwork_name))
