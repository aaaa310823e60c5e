"""The network of Flux: the class is ours where the network is."""

from compat.inside.classes import ours

Flux = ours("diffusion.models.flux", "Flux", "comfy.ldm.flux.model.Flux")
FluxParams = ours("diffusion.models.flux", "FluxConfig", "comfy.ldm.flux.model.FluxParams")
