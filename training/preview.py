"""A tiny decoder in the layout of TAESD (github.com/madebyollin/taesd): previews of the starter model's latents."""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from diffusion.models.taesd import TaesdConfig, decoder
from training import autoencoder
from training.autoencoder import differences, to_tensor
from training.pictures import batches
from training.progress import Average, Losses, Stage, lean, warm_then_cosine
from training.run import Run
from training.starter import encode

CONFIG = TaesdConfig(latent_channels=4, width=32)
PICTURES = 4000
STEPS, BATCH, RATE = 4000, 16, 1e-3


def loss_of(shown: Tensor, wanted: Tensor) -> Tensor:
    """Absolute error of pixels and of their differences; (B, 3, H, W) in 0…1."""
    edges = sum(F.l1_loss(a, b) for a, b in zip(differences(shown), differences(wanted), strict=True))
    return F.l1_loss(shown, wanted) + edges


def train(run: Run) -> bool:
    """Learn and write the decoder; False if the deadline came first."""
    torch.manual_seed(run.seed)
    steps, batch, device = run.steps or STEPS, run.batch or BATCH, run.device
    pictures, first_stage = run.pictures(PICTURES), autoencoder.load(run)
    network = decoder(CONFIG).to(device)
    average = Average(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    stage = Stage(run.folder / "preview", network, optimizer, average, deadline=run.deadline)
    stage.resume()
    source = batches(len(pictures), batch, run.seed, stage.step)

    def learn(number: int) -> Losses:
        pixels = to_tensor(pictures[next(source)]).to(device)
        with lean(device):
            with torch.no_grad():
                latent = encode(first_stage, pixels)
            loss = loss_of(network(latent), pixels / 2 + 0.5)
        loss.backward()
        return {"loss": loss}

    if not stage.run(steps, learn, warm_then_cosine(RATE, steps)):
        return False
    path = run.models / "vae_approx" / "heddle-starter-decoder.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().cpu() for name, value in average.network.state_dict().items()}, path)
    print(f"{path.stat().st_size:,} bytes in {path}")
    return True
