"""What a network's output means: from what it is shown and what it answers to an estimate of the clean latent."""

import math
from typing import Protocol

from torch import Tensor

from diffusion.sampling.marginals import Marginals, RectifiedFlow, VarianceExploding


class Prediction(Protocol):
    """All tensors are float32 and shaped (B, C, H, W), sigma and timestep (B, 1, 1, 1)."""

    marginals: Marginals

    def network_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        """What the network is shown of a latent at a noise level: about unit variance."""
        ...

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        """The clean latent according to the network's output."""
        ...

    def start(self, latent: Tensor, noise: Tensor, sigma: float, sigma_max: float) -> Tensor:
        """Where sampling begins: the latent noised to `sigma`."""
        ...

    def finish(self, x: Tensor, sigma: float) -> Tensor:
        """The result of a run that ended at `sigma`, as a latent that another run can start from."""
        ...


class _Exploding:
    """The parts that all predictions on a variance-exploding process share; input is scaled to unit variance."""

    marginals: Marginals = VarianceExploding()
    sigma_data: float = 1.0

    def network_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x / (sigma**2 + self.sigma_data**2).sqrt()

    def start(self, latent: Tensor, noise: Tensor, sigma: float, sigma_max: float) -> Tensor:
        """At the schedule's highest level the deviation is that of pure noise in training, sqrt(1 + sigma²)."""
        highest = sigma > sigma_max or math.isclose(sigma, sigma_max, rel_tol=1e-5)
        return latent + noise * (math.sqrt(1 + sigma**2) if highest else sigma)

    def finish(self, x: Tensor, sigma: float) -> Tensor:
        return x


class Eps(_Exploding):
    """The network predicts the noise (arXiv:2006.11239)."""

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        return x - output * sigma


class Velocity(_Exploding):
    """The network predicts v, a rotation of noise and data (arXiv:2202.00512)."""

    def __init__(self, sigma_data: float = 1.0):
        self.sigma_data = sigma_data

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        data, total = self.sigma_data, sigma**2 + self.sigma_data**2
        return x * (data**2 / total) - output * (sigma * data / total.sqrt())


class Edm(_Exploding):
    """Preconditioning of Karras et al. (arXiv:2206.00364), table 1: v with the other sign."""

    def __init__(self, sigma_data: float = 0.5):
        self.sigma_data = sigma_data

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        data, total = self.sigma_data, sigma**2 + self.sigma_data**2
        return x * (data**2 / total) + output * (sigma * data / total.sqrt())


class Sample(_Exploding):
    """The network predicts the clean latent itself."""

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        return output


class ImageToImage(_Exploding):
    """The network maps picture to picture: it is shown the latent as it is."""

    def network_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        return output


class Consistency(_Exploding):
    """Latent consistency models: eps with boundary scalings (arXiv:2310.04378, eq. 6 and its code).

    The scalings use sigma_data 0.5 and ten times the timestep.
    """

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        time, data = timestep * 10.0, 0.5
        skip = data**2 / (time**2 + data**2)
        out = time / (time**2 + data**2).sqrt()
        return (x - output * sigma) * out + x * skip


class CosmosFlow(_Exploding):
    """A flow network sampled on variance-exploding levels: sigma / (sigma + 1) is the flow's own level."""

    def network_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x / (sigma + 1)

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        return (x - output * sigma) / (sigma + 1)


class Flow:
    """The network predicts noise - data, the velocity of a rectified flow (arXiv:2209.03003)."""

    marginals: Marginals = RectifiedFlow()

    def network_input(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x

    def denoised(self, x: Tensor, sigma: Tensor, timestep: Tensor, output: Tensor) -> Tensor:
        return x - output * sigma

    def start(self, latent: Tensor, noise: Tensor, sigma: float, sigma_max: float) -> Tensor:
        return self.marginals.noised(latent, noise, sigma)

    def finish(self, x: Tensor, sigma: float) -> Tensor:
        return x / (1 - sigma) if sigma < 1 else x
