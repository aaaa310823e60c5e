"""What every stage of training does beside learning: average its weights, save itself, say how far it is."""

import copy
import csv
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

Network = TypeVar("Network", bound=nn.Module)
Losses = Mapping[str, Tensor]
SHOWN_EVERY = 25
"""Steps between two looks at the losses; on a GPU each look waits for it."""


class Average(Generic[Network]):
    """Exponential moving average of a network's weights (arXiv:2006.11239 uses one); its own network to be saved."""

    def __init__(self, network: Network, decay: float = 0.999):
        self.network: Network = copy.deepcopy(network)
        self.network.requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: Network, step: int) -> None:
        # Early weights are forgotten quickly.
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, current in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(current, 1 - decay)


@dataclass
class Stage:
    """One run of training that can be cut at any time. folder: holds `state.pt` and `losses.csv`.

    deadline: on `time.monotonic`'s clock; a run that passes it saves itself and stops.
    """

    folder: Path
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average[Any]
    save_every: float = 120.0
    deadline: float = math.inf
    step: int = 0
    _history: list[Losses] = field(default_factory=list[Losses])

    def resume(self) -> bool:
        """Go on from what the folder holds; False when it holds nothing."""
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])
        return True

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        torch.save(state, self.folder / "state.tmp")
        os.replace(self.folder / "state.tmp", self.folder / "state.pt")
        self._write_losses()

    def run(self, steps: int, learn: Callable[[int], Losses], rate: Callable[[int], float]) -> bool:
        """Steps up to `steps`; whether they were all taken.

        learn(step) → named losses, after a backward pass. rate(step) → learning rate.
        """
        saved = time.monotonic()
        with tqdm(total=steps, initial=self.step, unit="steps", mininterval=5) as bar:
            while self.step < steps and time.monotonic() < self.deadline:
                for group in self.optimizer.param_groups:
                    group["lr"] = rate(self.step)
                self.optimizer.zero_grad(set_to_none=True)
                losses = {name: value.detach() for name, value in learn(self.step).items()}
                nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                self.optimizer.step()
                self.average.update(self.network, self.step)
                self.step += 1
                self._history.append(losses)
                bar.update()
                if self.step % SHOWN_EVERY == 0:
                    bar.set_postfix({name: f"{float(value):.4f}" for name, value in losses.items()}, refresh=False)
                if time.monotonic() - saved > self.save_every:
                    self.save()
                    saved = time.monotonic()
        self.save()
        return self.step >= steps

    def _write_losses(self) -> None:
        """Append means over what was learned since the last save."""
        if not self._history:
            return
        names = list(self._history[0])
        path = self.folder / "losses.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", *names])
            means = [torch.stack([row[name] for row in self._history]).float().mean().item() for name in names]
            writer.writerow([self.step, *(f"{mean:.6f}" for mean in means)])
        self._history.clear()


def warm_then_cosine(peak: float, steps: int, warm: int = 200, floor: float = 0.05) -> Callable[[int], float]:
    """A learning rate that rises linearly, then falls along a cosine to a share of its peak."""

    def rate(step: int) -> float:
        if step < warm:
            return peak * (step + 1) / warm
        share = min(1.0, (step - warm) / max(1, steps - warm))
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(share * math.pi)))

    return rate


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def lean(device: torch.device) -> AbstractContextManager[Any]:
    """Products in bfloat16 where that is faster: on a GPU. Weights and optimizer stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
