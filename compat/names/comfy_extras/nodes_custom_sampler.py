"""Custom sampling: the classes of our nodes, and the NOISE objects packs take from here."""

import torch


class Noise_EmptyNoise:
    def __init__(self):
        self.seed = 0

    def generate_noise(self, input_latent):
        samples = input_latent["samples"]
        return torch.zeros(samples.shape, dtype=samples.dtype, layout=samples.layout, device="cpu")


class Noise_RandomNoise:
    def __init__(self, seed):
        self.seed = seed

    def generate_noise(self, input_latent):
        from comfy.sample import prepare_noise

        return prepare_noise(input_latent["samples"], self.seed, input_latent.get("batch_index"))


class Guider_Basic:
    """A guider of one conditioning."""

    def __new__(cls, model_patcher):
        from comfy.samplers import CFGGuider

        class Guider(CFGGuider):
            def set_conds(self, positive):
                self.inner_set_conds({"positive": positive})

        return Guider(model_patcher)
