"""The same on a real card, where there is one. Everything about memory is tested without; this is about streams."""

import pytest
import torch

from diffusion.memory.conveyor import BUFFERS
from diffusion.memory.leaves import leaves_of
from diffusion.memory.residency import Policy, Residency
from diffusion.memory.work import Need, Way, Work
from tests.diffusion.memory.networks import DiT
from tests.diffusion.tiny import randomised

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card here")


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_streamed_and_resident_are_bit_equal(share: float):
    from diffusion.memory.cuda import CudaDevice

    network = randomised(DiT(512, 8), 1).eval().requires_grad_(False)
    x = torch.randn(2, 16, 16).cuda()
    weights = sum(leaf.bytes for leaf in leaves_of(network))
    window = BUFFERS * max(leaf.bytes for leaf in leaves_of(network))
    device = CudaDevice()
    keeper = Residency(device, Policy(reserve=device.free() - int(share * weights) - window - 64 * 2**20))
    job = Way(lambda place: [place.of(network)(x).cpu() for _ in range(5)], 64 * 2**20)
    with torch.inference_mode():
        streamed = keeper.run(Work("steps", [Need(network, passes=5)], [job]))
        resident = Residency(CudaDevice()).run(Work("steps", [Need(network, passes=5)], [job]))
    assert all(torch.equal(one, other) for one, other in zip(streamed, resident, strict=True))


def test_everything_is_given_back():
    from diffusion.memory.cuda import CudaDevice

    before = torch.cuda.memory_allocated()
    network = randomised(DiT(512, 8), 1).eval().requires_grad_(False)
    keeper = Residency(CudaDevice(), Policy(share=0.3))
    keeper.run(Work("a step", [Need(network)], [Way(lambda place: place.of(network)(torch.randn(2, 16, 16).cuda()))]))
    keeper.unload()
    assert torch.cuda.memory_allocated() == before
