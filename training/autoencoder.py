"""Stage one: a KL autoencoder, eight times smaller on a side, with four channels (arXiv:2112.10752).

    python -m training.autoencoder --folder runs/autoencoder --pictures runs/pictures

Pictures are flat areas and edges, so the loss is the absolute error of pixels and of their differences; the weight of
the KL term only keeps the latent from drifting. The published scale of the latent space is part of the layout, so the
finished network is rescaled to it rather than the layout to the network.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from diffusion import latents
from diffusion.models.autoencoder import AutoencoderConfig, AutoencoderKL
from training.pictures import World, batches, drawn
from training.progress import Average, Stage, warm_then_cosine

CONFIG = AutoencoderConfig(latent_channels=4, widths=(32, 64, 96, 128), blocks=1, quantised=True)
KL_WEIGHT = 1e-6


def to_tensor(pictures: np.ndarray) -> Tensor:
    """uint8 (B, H, W, 3) → float32 (B, 3, H, W), -1…1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def differences(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def losses(network: AutoencoderKL, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
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


def total(parts: Mapping[str, Tensor]) -> Tensor:
    return parts["pixels"] + 2 * parts["squares"] + parts["edges"] + KL_WEIGHT * parts["kl"]


@torch.no_grad()
def psnr(network: AutoencoderKL, x: Tensor) -> float:
    """Peak signal to noise ratio of a reconstruction, decibels; pictures as in `losses`."""
    mean = network.quant_conv(network.encoder(x)).chunk(2, dim=1)[0]
    error = ((network.decode(mean).clamp(-1, 1) - x) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


@torch.no_grad()
def rescale(network: AutoencoderKL, x: Tensor) -> None:
    """Give the latent, channel by channel, mean 0 and the deviation that the published scale turns into 1.

    The 1x1 convolutions around the latent take it up, so that pictures do not change.
    """
    mean = network.quant_conv(network.encoder(x)).chunk(2, dim=1)[0]
    centre = mean.mean(dim=(0, 2, 3))
    factor = 1 / (latents.SD15.scale * mean.std(dim=(0, 2, 3)))
    channels = len(centre)
    before, after = network.quant_conv, network.post_quant_conv
    assert before.bias is not None
    assert after.bias is not None
    after.bias += (after.weight[:, :, 0, 0] * centre).sum(1)
    after.weight /= factor[None, :, None, None]
    before.bias[:channels] = (before.bias[:channels] - centre) * factor
    before.weight[:channels] *= factor[:, None, None, None]
    before.bias[channels:] += 2 * factor.log()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="state and losses of this run")
    parser.add_argument("--pictures", type=Path, required=True, help="where drawn pictures are kept")
    parser.add_argument("--count", type=int, default=6000, help="pictures to draw")
    parser.add_argument("--size", type=int, default=256, help="pixels of their sides")
    parser.add_argument("--crop", type=int, default=128, help="pixels that are learned at a time")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    pictures = drawn(World(arguments.seed), arguments.count, arguments.size, arguments.pictures)
    judged = to_tensor(drawn(World(arguments.seed, held_out=True), 32, arguments.size, arguments.pictures))
    network = AutoencoderKL(CONFIG)
    optimizer = torch.optim.AdamW(network.parameters(), lr=arguments.rate, betas=(0.9, 0.95), weight_decay=1e-4)
    average = Average(network)
    stage = Stage(arguments.folder, network, optimizer, average)
    stage.resume()
    source = batches(len(pictures), arguments.batch, arguments.seed, stage.step)

    def learn(step: int) -> Mapping[str, float]:
        rng = np.random.default_rng((arguments.seed, step, 9))
        top, left = rng.integers(0, arguments.size - arguments.crop + 1, 2)
        numbers = np.sort(next(source))
        cut = pictures[numbers, top : top + arguments.crop, left : left + arguments.crop]
        x = to_tensor(cut)
        noise = torch.randn(len(x), 4, arguments.crop // 8, arguments.crop // 8)
        parts = losses(network, x, noise)
        total(parts).backward()
        shown = {name: float(value.detach()) for name, value in parts.items()}
        if step % 500 == 499:
            print(f"\nstep {step + 1}: {psnr(average.network, judged):.2f} dB on held-out pictures", flush=True)
        return shown

    stage.run(arguments.steps, learn, warm_then_cosine(arguments.rate, arguments.steps))


if __name__ == "__main__":
    main()
