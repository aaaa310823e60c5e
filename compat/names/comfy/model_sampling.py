"""Schedules and predictions as objects that packs read, subclass and put together: one class for each half.

The arithmetic is that of `diffusion.sampling`; here are the names and the tensors of any number of dimensions.
"""

import math

import torch

from diffusion.families.prediction import BetaSchedule, CosineSchedule, EdmSchedule, FlowSchedule, PredictionSpec
from diffusion.sampling import levels, prediction


def rescale_zero_terminal_snr_sigmas(sigmas):
    return levels.zero_terminal_snr(sigmas.double()).to(sigmas.dtype)


def time_snr_shift(alpha, t):
    """The linear shift of rectified flows."""
    return t if alpha == 1.0 else alpha * t / (1 + (alpha - 1) * t)


def flux_time_shift(mu, sigma, t):
    return math.exp(mu) / (math.exp(mu) + (1 / t - 1) ** sigma)


def reshape_sigma(sigma, noise_dim):
    """(B,) against a latent of so many dimensions."""
    return sigma if sigma.nelement() == 1 else sigma.view(sigma.shape[:1] + (1,) * (noise_dim - 1))


# Predictions: what a network's output means. Mixed in before a schedule.


class EPS:
    """The network predicts the noise."""

    sigma_data = 1.0

    def _like(self, sigma, latent):
        return reshape_sigma(sigma, latent.ndim)

    def calculate_input(self, sigma, noise):
        sigma = self._like(sigma, noise)
        return noise / (sigma**2 + self.sigma_data**2) ** 0.5

    def calculate_denoised(self, sigma, model_output, model_input):
        return prediction.Eps().denoised(model_input, self._like(sigma, model_output), sigma, model_output)

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False):
        """Where a run starts; max_denoise: it starts from pure noise."""
        sigma = self._like(sigma, noise)
        return latent_image + noise * ((1.0 + sigma**2.0) ** 0.5 if max_denoise else sigma)

    def inverse_noise_scaling(self, sigma, latent):
        return latent


class V_PREDICTION(EPS):
    def calculate_denoised(self, sigma, model_output, model_input):
        sigma = self._like(sigma, model_output)
        return prediction.Velocity(self.sigma_data).denoised(model_input, sigma, sigma, model_output)


class EDM(V_PREDICTION):
    def calculate_denoised(self, sigma, model_output, model_input):
        sigma = self._like(sigma, model_output)
        return prediction.Edm(self.sigma_data).denoised(model_input, sigma, sigma, model_output)


class X0(EPS):
    def calculate_denoised(self, sigma, model_output, model_input):
        return model_output


class IMG_TO_IMG(X0):
    def calculate_input(self, sigma, noise):
        return noise


class LCM(EPS):
    def calculate_denoised(self, sigma, model_output, model_input):
        time = self._like(self.timestep(sigma), model_output)
        return prediction.Consistency().denoised(model_input, self._like(sigma, model_output), time, model_output)


class CONST:
    """Rectified flow: the network predicts noise - data."""

    def calculate_input(self, sigma, noise):
        return noise

    def calculate_denoised(self, sigma, model_output, model_input):
        return model_input - model_output * reshape_sigma(sigma, model_output.ndim)

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False):
        sigma = reshape_sigma(sigma, noise.ndim)
        return sigma * noise + (1.0 - sigma) * latent_image

    def inverse_noise_scaling(self, sigma, latent):
        # A run that ends with noise left is handed on as a latent another run can start from.
        return latent / (1.0 - reshape_sigma(sigma, latent.ndim))


class COSMOS_RFLOW:
    """A flow network on levels without end: sigma / (sigma + 1) is the flow's own."""

    def calculate_input(self, sigma, noise):
        return noise / (reshape_sigma(sigma, noise.ndim) + 1)

    def calculate_denoised(self, sigma, model_output, model_input):
        sigma = reshape_sigma(sigma, model_output.ndim)
        return (model_input - model_output * sigma) / (sigma + 1)

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False):
        return latent_image + noise * reshape_sigma(sigma, noise.ndim)

    def inverse_noise_scaling(self, sigma, latent):
        return latent


# Schedules: which levels of noise there are, and the network's clock.


class _Schedule(torch.nn.Module):
    """levels: of the library."""

    def __init__(self, model_config=None):
        super().__init__()
        self.settings = dict(getattr(model_config, "sampling_settings", None) or {})

    def _become(self, made):
        self.__dict__["levels"] = made
        self._remember(made.sigmas.float())

    def _remember(self, sigmas):
        self.register_buffer("sigmas", sigmas)
        self.register_buffer("log_sigmas", sigmas.log())

    @property
    def sigma_min(self):
        return self.sigmas[0]

    @property
    def sigma_max(self):
        return self.sigmas[-1]

    def timestep(self, sigma):
        return self.levels.timestep(sigma)

    def sigma(self, timestep):
        return self.levels.sigma(timestep)

    def percent_to_sigma(self, percent):
        return self.levels.percent_to_sigma(percent)


class ModelSamplingDiscrete(_Schedule):
    def __init__(self, model_config=None, zsnr=None):
        super().__init__(model_config)
        settings = self.settings
        zsnr = settings.get("zsnr", False) if zsnr is None else zsnr
        self._register_schedule(
            given_betas=None,
            beta_schedule=settings.get("beta_schedule", "linear"),
            timesteps=settings.get("timesteps", 1000),
            linear_start=settings.get("linear_start", 0.00085),
            linear_end=settings.get("linear_end", 0.012),
            zsnr=zsnr,
        )
        self.sigma_data = 1.0

    def _register_schedule(
        self, given_betas=None, beta_schedule="linear", timesteps=1000, linear_start=1e-4, linear_end=2e-2,
        cosine_s=8e-3, zsnr=False,
    ):  # fmt: skip
        """beta_schedule "linear": the square of a line between roots, as latent diffusion calls it."""
        if given_betas is not None:
            alphas = torch.cumprod(1.0 - torch.as_tensor(given_betas).double(), dim=0)
            sigmas = ((1 - alphas) / alphas) ** 0.5
        else:
            sigmas = levels.beta_sigmas(linear_start, linear_end, timesteps, scaled=beta_schedule == "linear")
        self.num_timesteps = len(sigmas)
        self.linear_start, self.linear_end = linear_start, linear_end
        self.zsnr = zsnr
        self.set_sigmas(levels.zero_terminal_snr(sigmas) if zsnr else sigmas)

    def set_sigmas(self, sigmas):
        """Another table, ascending."""
        self._become(levels.DiscreteLevels(sigmas))


class ModelSamplingDiscreteEDM(ModelSamplingDiscrete):
    def timestep(self, sigma):
        return 0.25 * sigma.log()

    def sigma(self, timestep):
        return (timestep / 0.25).exp()


class ModelSamplingContinuousEDM(_Schedule):
    _levels = levels.ContinuousLevels

    def __init__(self, model_config=None):
        super().__init__(model_config)
        settings = self.settings
        self.set_parameters(
            settings.get("sigma_min", 0.002), settings.get("sigma_max", 120.0), settings.get("sigma_data", 1.0)
        )

    def set_parameters(self, sigma_min, sigma_max, sigma_data=1.0):
        self.sigma_data = sigma_data
        self._become(self._levels(sigma_min, sigma_max))


class ModelSamplingContinuousV(ModelSamplingContinuousEDM):
    _levels = levels.TangentLevels


class ModelSamplingCosmosRFlow(ModelSamplingContinuousEDM):
    _levels = levels.CosmosFlowLevels


class ModelSamplingDiscreteFlow(_Schedule):
    def __init__(self, model_config=None):
        super().__init__(model_config)
        self.set_parameters(self.settings.get("shift", 1.0), multiplier=self.settings.get("multiplier", 1000))

    def set_parameters(self, shift=1.0, timesteps=1000, multiplier=1000):
        self.shift, self.multiplier = shift, multiplier
        self._become(levels.FlowLevels(shift, multiplier, timesteps))


class ModelSamplingFlux(_Schedule):
    """shift: the exponent mu."""

    def __init__(self, model_config=None):
        super().__init__(model_config)
        self.set_parameters(self.settings.get("shift", 1.15))

    def set_parameters(self, shift=1.15, timesteps=10000):
        self.shift = shift
        self._become(levels.FlowLevels(math.exp(shift), 1.0, timesteps))


class StableCascadeSampling(_Schedule):
    def __init__(self, model_config=None):
        super().__init__(model_config)
        self.set_parameters(self.settings.get("shift", 1.0))

    def set_parameters(self, shift=1.0, cosine_s=8e-3):
        self.shift = shift
        self._become(levels.CosineLevels(shift))


def model_sampling_classes(model_type):
    """(prediction, schedule) of a `model_base.ModelType`."""
    return {
        "EPS": (EPS, ModelSamplingDiscrete),
        "V_PREDICTION": (V_PREDICTION, ModelSamplingDiscrete),
        "V_PREDICTION_EDM": (V_PREDICTION, ModelSamplingContinuousEDM),
        "STABLE_CASCADE": (EPS, StableCascadeSampling),
        "EDM": (EDM, ModelSamplingContinuousEDM),
        "FLOW": (CONST, ModelSamplingDiscreteFlow),
        "V_PREDICTION_CONTINUOUS": (V_PREDICTION, ModelSamplingContinuousV),
        "FLUX": (CONST, ModelSamplingFlux),
        "IMG_TO_IMG": (IMG_TO_IMG, _Schedule),
        "FLOW_COSMOS": (COSMOS_RFLOW, ModelSamplingCosmosRFlow),
    }[model_type.name]


_PREDICTIONS = {
    "eps": EPS,
    "v": V_PREDICTION,
    "edm": EDM,
    "x0": X0,
    "flow": CONST,
    "lcm": LCM,
    "img2img": IMG_TO_IMG,
    "cosmos_flow": COSMOS_RFLOW,
}


class Ours:
    """Marks schedules made for a prediction of ours."""


def of_prediction(spec: PredictionSpec):
    """The object for what a model of ours predicts."""
    from diffusion.sampling.process import process_of

    match spec.schedule:
        case BetaSchedule():
            schedule = ModelSamplingDiscrete
        case FlowSchedule(multiplier=multiplier):
            schedule = ModelSamplingFlux if multiplier == 1.0 else ModelSamplingDiscreteFlow
        case EdmSchedule(clock=clock):
            kinds = {"log": ModelSamplingContinuousEDM, "tangent": ModelSamplingContinuousV}
            schedule = kinds.get(clock, ModelSamplingCosmosRFlow)
        case CosineSchedule():
            schedule = StableCascadeSampling
    kind = type("ModelSampling", (schedule, _PREDICTIONS[spec.kind], Ours), {})
    made = kind()
    made._become(process_of(spec).levels)
    made.sigma_data = spec.sigma_data
    if isinstance(spec.schedule, FlowSchedule):
        exponential = schedule is ModelSamplingFlux
        made.shift = math.log(spec.schedule.shift) if exponential else spec.schedule.shift
        made.multiplier = spec.schedule.multiplier
    made.zsnr = getattr(spec.schedule, "zero_terminal_snr", False)
    return made
