"""What every stage of training does beside learning: average its weights, save itself, say how far it is."""

import copy
import csv
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from tqdm import tqdm

Network = TypeVar("Network", bound=nn.Module)


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
    """One run of training that can be cut at any time. folder: holds `state.pt` and `losses.csv`."""

    folder: Path
    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average[Any]
    save_every: float = 120.0
    step: int = 0
    _history: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])

    def resume(self) -> bool:
        """Go on from what the folder holds; False when it holds nothing."""
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state: dict[str, Any] = torch.load(path, weights_only=True)
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

    def run(self, steps: int, learn: Callable[[int], Mapping[str, float]], rate: Callable[[int], float]) -> None:
        """Steps up to `steps`. learn(step) → named losses, after a backward pass. rate(step) → learning rate."""
        saved = time.monotonic()
        with tqdm(total=steps, initial=self.step, unit="steps", mininterval=5) as bar:
            while self.step < steps:
                for group in self.optimizer.param_groups:
                    group["lr"] = rate(self.step)
                self.optimizer.zero_grad(set_to_none=True)
                losses = learn(self.step)
                nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                self.optimizer.step()
                self.average.update(self.network, self.step)
                self.step += 1
                self._history.append({"step": self.step, **losses})
                bar.update()
                bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()}, refresh=False)
                if time.monotonic() - saved > self.save_every or self.step == steps:
                    self.save()
                    saved = time.monotonic()

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
                writer.writerow(names)
            mean = [sum(row[name] for row in self._history) / len(self._history) for name in names[1:]]
            writer.writerow([self.step, *(f"{value:.6f}" for value in mean)])
        self._history.clear()


def warm_then_cosine(peak: float, steps: int, warm: int = 200, floor: float = 0.05) -> Callable[[int], float]:
    """A learning rate that rises linearly, then falls along a cosine to a share of its peak."""

    def rate(step: int) -> float:
        if step < warm:
            return peak * (step + 1) / warm
        share = min(1.0, (step - warm) / max(1, steps - warm))
        return peak * (floor + (1 - floor) * 0.5 * (1 + float(torch.cos(torch.tensor(share * torch.pi)))))

    return rate
