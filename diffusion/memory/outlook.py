"""What handles need of networks: turns values that will be used soon into `Need`s, the soonest first."""

from collections.abc import Iterable, Iterator

from torch import nn

from diffusion.handles import Autoencoder, ControlNet, Model, TextEncoders
from diffusion.memory.work import Need


def needs_in(values: Iterable[object]) -> list[Need]:
    """values: anything; what is no handle and no network needs nothing."""
    return [need for value in values for need in _needs(value)]


def _needs(value: object) -> Iterator[Need]:
    match value:
        case Model(network=network, patches=patches):
            yield Need(network, patches)
        case TextEncoders(networks=networks, patches=by_name):
            for name, network in networks.items():
                yield Need(network, tuple(by_name.get(name, ())))
        case Autoencoder(network=network) | ControlNet(network=network):
            yield Need(network)
        case nn.Module():
            yield Need(value)
        case _:
            return
