"""What streaming and switching cost: on a pretend card in virtual time, and on a CUDA card where there is one.

`python -m benchmarks.memory` prints the pretend card's tables; `--cuda` measures on a real card with random weights
(SDXL at 1024 x 1024 in float16, about 5 GB).
"""

import argparse
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from diffusion.memory.conveyor import BUFFERS
from diffusion.memory.device import Device
from diffusion.memory.leaves import leaves_of
from diffusion.memory.plan import Resident, Wanted, plan
from diffusion.memory.pretend import PretendDevice
from diffusion.memory.residency import Policy, Residency
from diffusion.memory.work import Need, Way, Work
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig

PLENTY = 2**50
STEPS = 5

SDXL = UNetConfig(
    in_channels=4,
    out_channels=4,
    base_width=320,
    level_widths=(320, 640, 1280),
    input_depths=((0, 0), (2, 2), (10, 10)),
    output_depths=((0, 0, 0), (2, 2, 2), (10, 10, 10)),
    middle_residuals=2,
    middle_depth=10,
    context_width=2048,
    vector_width=2816,
    linear_projection=True,
    head_width=64,
)
SMALL = UNetConfig(
    in_channels=4,
    out_channels=4,
    base_width=64,
    level_widths=(64, 128, 256),
    input_depths=((0, 0), (1, 1), (2, 2)),
    output_depths=((0, 0, 0), (1, 1, 1), (2, 2, 2)),
    middle_residuals=2,
    middle_depth=2,
    context_width=128,
    vector_width=256,
    linear_projection=True,
    head_width=32,
)


@dataclass(frozen=True)
class Stepper:
    """A network and one step of it. size: of the latent, each way."""

    network: nn.Module
    config: UNetConfig
    size: int

    @property
    def bytes(self) -> int:
        return sum(leaf.bytes for leaf in leaves_of(self.network))

    @property
    def window(self) -> int:
        return BUFFERS * max(leaf.bytes for leaf in leaves_of(self.network))

    def work(self, steps: int, activations: int) -> Work[None]:
        parameter = next(self.network.parameters())

        def job(place) -> None:
            network = place.of(self.network)
            x = torch.zeros(2, 4, self.size, self.size, device=place.device, dtype=parameter.dtype)
            context = torch.zeros(2, 77, self.config.context_width, device=place.device, dtype=parameter.dtype)
            y = torch.zeros(2, self.config.vector_width or 0, device=place.device, dtype=parameter.dtype)
            times = torch.full((2,), 500.0, device=place.device)
            for _ in range(steps):
                x = network(x, times, context, y)

        return Work("steps", [Need(self.network, passes=steps)], [Way(job, activations)])


def unet(config: UNetConfig, size: int, dtype: torch.dtype) -> Stepper:
    """With random weights."""
    network = UNet(config).to(dtype).eval().requires_grad_(False)
    return Stepper(network, config, size)


def share_of(stepper: Stepper, device: Device, share: float, activations: int) -> Policy:
    """Leaves room for this share of the weights."""
    room = int(share * stepper.bytes) + activations + (stepper.window if share < 1 else 0)
    return Policy(reserve=device.capacity - room)


def print_table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    heads = list(heads)
    print("| " + " | ".join(heads) + " |")
    print("|" + "|".join("---:" for _ in heads) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def pretend_steps() -> None:
    """Step time by share of weights on the card, where moving all of them takes as long as a step computes."""
    stepper = unet(SMALL, 16, torch.float32)
    counting = PretendDevice(PLENTY, flops=1.0)
    Residency(counting).run(stepper.work(1, 0))
    compute = counting.clock.now
    print(
        f"UNet in SDXL's shape, {stepper.bytes / 2**20:.0f} MB; a step's computing is 1, and so is moving all weights\n"
    )
    rows = []
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        device = PretendDevice(PLENTY, link=stepper.bytes / compute, flops=1.0)
        keeper = Residency(device, share_of(stepper, device, share, 2**26))
        keeper.run(stepper.work(1, 2**26))
        before, moved = device.clock.now, device.ledger.moved
        keeper.run(stepper.work(STEPS, 2**26))
        step = (device.clock.now - before) / STEPS / compute
        moving = (device.ledger.moved - moved) / STEPS / stepper.bytes
        rows.append((share, f"{moving:.2f}", f"{step:.2f}", f"{step / max(1.0, moving):.2f}"))
        device.close()
    print_table(("share on the card", "moved per step", "step", "step / max(computing, moving)"), rows)


def pretend_sequences() -> None:
    """Bytes moved over jobs of a text encoder, a network and a decoder, over four checkpoints."""
    rng = random.Random(1)
    totals = {"this job and the next known": 0, "nothing known": 0, "whole networks, least recently used": 0}
    for _ in range(300):
        sizes = {(c, part): size for c in range(4) for part, size in (("text", 3), ("network", 5), ("vae", 1))}
        jobs = [rng.randrange(4) for _ in range(12)]
        uses = [((c, part), 20 if part == "network" else 1) for c in jobs for part in ("text", "network", "vae")]
        room = rng.randint(8, 24)
        totals["this job and the next known"] += moved(sizes, uses, room, 5)
        totals["nothing known"] += moved(sizes, uses, room, 0)
        totals["whole networks, least recently used"] += moved_by_recency(sizes, uses, room)
    least = min(totals.values())
    print_table(
        ("what decides", "bytes moved, relative"), [(name, f"{total / least:.2f}") for name, total in totals.items()]
    )


def moved(sizes: dict, uses: list, room: int, horizon: int) -> int:
    present = dict.fromkeys(sizes, 0)
    last = dict.fromkeys(sizes, 0)
    total = 0
    for now, (key, passes) in enumerate(uses):
        ahead = [other for other, _ in uses[now + 1 : now + 1 + horizon]]
        next_use = {other: ahead.index(other) if other in ahead else None for other in sizes}
        residents = [Resident(k, n, next_use[k], last[k]) for k, n in present.items() if n and k != key]
        made = plan([Wanted(key, sizes[key], present[key], passes, 0, next_use[key])], residents, room)
        total += made.moved({key: passes})
        present = {k: made.hold.get(k, 0) for k in sizes}
        last[key] = now + 1
    return total


def moved_by_recency(sizes: dict, uses: list, room: int) -> int:
    held: list = []
    total = 0
    for key, _ in uses:
        if key in held:
            held.remove(key)
        else:
            total += sizes[key]
        held.append(key)
        while sum(sizes[k] for k in held) > room:
            held.pop(0)
    return total


def timed(run: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def cuda() -> None:
    """SDXL's UNet at 1024 x 1024 in float16: step time by share of weights, then switching between two models."""
    from diffusion.memory.cuda import CudaDevice

    with torch.device("cuda"):
        first = unet(SDXL, 128, torch.float16)
    first.network.cpu()
    activations = 4 * 2**30
    block = torch.empty(2**28, dtype=torch.uint8).pin_memory()
    link = len(block) / min(timed(lambda: block.cuda(non_blocking=True)) for _ in range(5))
    rows, compute = [], 0.0
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        device = CudaDevice()
        keeper = Residency(device, share_of(first, device, share, activations))
        keeper.run(first.work(2, activations))
        step = timed(partial(keeper.run, first.work(20, activations))) / 20
        held = keeper.report()["device"]["used"]
        compute = compute or step
        bound = max(compute, (first.bytes - held) / link)
        rows.append((share, f"{step * 1000:.0f}", f"{bound * 1000:.0f}", f"{step / bound:.2f}"))
        keeper.unload()
    print(f"{torch.cuda.get_device_name()}, link {link / 1e9:.1f} GB/s\n")
    print_table(("share on the card", "step ms", "max(computing, moving) ms", "ratio"), rows)
    second = Stepper(nn.Module.requires_grad_(UNet(SDXL).half().eval(), False), SDXL, 128)
    keeper = Residency(CudaDevice())
    for stepper in (first, second):
        keeper.run(stepper.work(1, activations))
    again = [timed(partial(keeper.run, stepper.work(1, activations))) for stepper in (first, second)]
    print(f"switching between two that both fit: {again[0] * 1000:.0f} and {again[1] * 1000:.0f} ms for a step each")


def against_diffusers() -> None:
    """The same shape of network under diffusers' group offloading, then here with the memory that took."""
    from diffusers.hooks.group_offloading import apply_group_offloading
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from benchmarks.sampling import CONFIGS
    from diffusion.memory.cuda import CudaDevice

    here, there = torch.device("cuda"), torch.device("cpu")
    ours = unet(SDXL, 128, torch.float16)
    x, context = torch.zeros(2, 4, 128, 128, device=here).half(), torch.zeros(2, 77, 2048, device=here).half()
    added = {"text_embeds": torch.zeros(2, 1280, device=here).half(), "time_ids": torch.zeros(2, 6, device=here)}
    times = torch.full((2,), 500.0, device=here)
    rows = []
    for kind, blocks in (("block_level", 1), ("leaf_level", None)):
        theirs: Any = UNet2DConditionModel(**CONFIGS["sdxl"]).half().eval().requires_grad_(False)
        apply_group_offloading(theirs, here, there, kind, blocks, non_blocking=True, use_stream=True)

        def steps(network: Any = theirs) -> None:
            for _ in range(STEPS):
                network(x, times, context, added_cond_kwargs=added)

        steps()
        torch.cuda.reset_peak_memory_stats()
        their_step = timed(steps) / STEPS
        peak = torch.cuda.max_memory_allocated()
        del theirs, steps
        torch.cuda.empty_cache()
        keeper = Residency(CudaDevice(limit=peak))
        keeper.run(ours.work(2, 0))
        our_step = timed(partial(keeper.run, ours.work(STEPS, 0))) / STEPS
        keeper.unload()
        rows.append((kind, f"{peak / 2**30:.1f}", f"{their_step * 1000:.0f}", f"{our_step * 1000:.0f}"))
    print_table(("group offloading", "peak GB", "diffusers, step ms", "here in as much, step ms"), rows)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cuda", action="store_true", help="measure on the CUDA card")
    if parser.parse_args().cuda:
        cuda()
        against_diffusers()
        return
    torch.manual_seed(0)
    pretend_steps()
    pretend_sequences()


if __name__ == "__main__":
    main()
