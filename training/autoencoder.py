"""Stage one: a KL autoencoder, eight times smaller on a side, with four channels (arXiv:2112.10752).

Pictures are flat areas and edges, so the loss is the absolute error of pixels and of their differences; the weight of
the KL term only keeps the latent from drifting. The published scale of the latent space is part of the layout, so the
finished network is rescaled to it rather than the layout to the network.

The published layout normalises in 32 groups. A plain picture keeps its colour through a norm only if a group has three
channels or more: of one channel nothing is left, of two their order. So no level here is narrower than 96.
"""

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion import latents
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from training.pictures import batches
from training.progress import Average, Losses, Stage, lean, warm_then_cosine
from training.run import Run

CONFIG = AutoencoderConfig(latent_channels=4, widths=(96, 96, 96, 96), blocks=1, quantised=True)
STEPS, BATCH, RATE = 12_000, 8, 8e-4
CROP = 128
"""Pixels that are learned at a time."""
KL_WEIGHT = 1e-6
SPREAD = -12.0
"""Logarithm of the variance that the finished encoder says its latent has."""


def to_tensor(pictures: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) → float32 (B, 3, H, W), -1…1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def losses(network: AutoencoderKL, x: Tensor, noise: Tensor) -> Losses:
    """x: (B, 3, H, W), -1…1. noise: standard normal, of the latent's shape."""
    mean, log_variance = network.quant_conv(network.encoder(x)).chunk(2, dim=1)
    log_variance = log_variance.clamp(-30, 20)
    decoded = network.decode(mean + (0.5 * log_variance).exp() * noise)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=(1, 2, 3)).mean()
    edges = sum(F.l1_loss(a, b) for a, b in zip(differences(decoded), differences(x), strict=True))
    return {
        "pixels": F.l1_loss(decoded, x),
        "squares": F.mse_loss(decoded, x),
        "edges": torch.as_tensor(edges),
        "kl": kl,
    }


def total(parts: Losses) -> Tensor:
    return parts["pixels"] + 2 * parts["squares"] + parts["edges"] + KL_WEIGHT * parts["kl"]


@torch.no_grad()
def psnr(network: AutoencoderKL, x: Tensor) -> float:
    """Peak signal to noise ratio of a reconstruction, decibels; pictures as in `losses`."""
    mean = network.quant_conv(network.encoder(x)).chunk(2, dim=1)[0]
    error = ((network.decode(mean).clamp(-1, 1) - x) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


@torch.no_grad()
def settle(network: AutoencoderKL, x: Tensor) -> None:
    """Turn the latent space into the published one, as far as a linear map can; pictures do not change.

    Channels get mean 0, the deviation that the published scale turns into 1, and no correlation. The rotation that is
    left free is the one under which the published preview factors show the right colours (orthogonal Procrustes).
    The encoder's own spread, tiny by now, becomes a constant. The 1x1 convolutions around the latent take it all up.
    x: pictures as in `losses`, many.
    """
    before, after = network.quant_conv, network.post_quant_conv
    assert before.bias is not None
    assert after.bias is not None
    latent = network.quant_conv(network.encoder(x)).chunk(2, dim=1)[0]
    colors = F.interpolate(x, latent.shape[-2:], mode="area").movedim(1, -1).flatten(0, 2).double()
    flat = latent.movedim(1, -1).flatten(0, 2).double()
    centre = flat.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T))
    white = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    factors = torch.tensor(latents.SD15.preview_factors, dtype=torch.float64, device=x.device)
    shown = white @ (flat - centre).T @ (colors - colors.mean(0)) / len(flat)
    left, _, right = torch.linalg.svd(factors @ shown.T)
    turn = (left @ right @ white / latents.SD15.scale).to(x.dtype)
    centre = centre.to(x.dtype)
    channels = len(centre)
    after.bias += after.weight[:, :, 0, 0] @ centre
    after.weight[:, :, 0, 0] = after.weight[:, :, 0, 0] @ torch.linalg.inv(turn)
    before.bias[:channels] = turn @ (before.bias[:channels] - centre)
    before.weight[:channels, :, 0, 0] = turn @ before.weight[:channels, :, 0, 0]
    before.weight[channels:] = 0
    before.bias[channels:] = SPREAD


def train(run: Run) -> bool:
    """Learn, settle and write the network; False if the deadline came first."""
    torch.manual_seed(run.seed)
    steps, batch, device = run.steps or STEPS, run.batch or BATCH, run.device
    pictures, judged = run.pictures(), to_tensor(run.judged()).to(device)
    network = AutoencoderKL(CONFIG).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=1e-4)
    average = Average(network)
    stage = Stage(run.autoencoder.parent, network, optimizer, average, deadline=run.deadline)
    stage.resume()
    source = batches(len(pictures), batch, run.seed, stage.step)
    crop = min(CROP, run.size)

    def learn(number: int) -> Losses:
        rng = np.random.default_rng((run.seed, number, 9))
        top, left = rng.integers(0, run.size - crop + 1, 2)
        cut = pictures[np.sort(next(source)), top : top + crop, left : left + crop]
        x = to_tensor(cut).to(device)
        noise = torch.randn(len(x), 4, crop // 8, crop // 8, device=device)
        with lean(device):
            parts = losses(network, x, noise)
        total(parts).backward()
        if number % 500 == 499:
            print(f"\nstep {number + 1}: {psnr(average.network, judged):.2f} dB on held-out pictures", flush=True)
        return parts

    if not stage.run(steps, learn, warm_then_cosine(RATE, steps)):
        return False
    settle(average.network, judged)
    tensors = average.network.state_dict()
    save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, run.autoencoder)
    return True


def load(run: Run) -> AutoencoderKL:
    """What `train` wrote."""
    network = AutoencoderKL(CONFIG)
    network.load_state_dict(load_file(run.autoencoder))
    return network.to(run.device).eval().requires_grad_(False)
