"""Seconds per sampling step of our networks against diffusers', with the same random weights in both.

    python -m benchmarks.sampling sd15 --side 512 --dtype float32 --runs 5
    python -m benchmarks.sampling flux --side 512 --dtype bfloat16 --blocks 2

--blocks: of transformers only so many blocks of each kind, for the memory at hand.

One step is one call of the network on a batch of two, positive and negative. Runs alternate between the two, so that
whatever else the machine does meets both; the best of each counts, in seconds of the clock and of the processor.
Linear layers share their memory between the two networks, so that SDXL in float32 fits into 24 GB.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from benchmarks.transformer_steps import TRANSFORMERS, transformer_steps
from diffusion.families.registry import recognise

CONFIGS: dict[str, dict[str, Any]] = {
    "sd15": {"cross_attention_dim": 768, "attention_head_dim": 8},
    "sdxl": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


@dataclass(frozen=True)
class Best:
    """Fastest of several runs, in seconds."""

    clock: float = float("inf")
    processor: float = float("inf")

    def timed(self, run: Callable[[], object]) -> "Best":
        clock, processor = time.perf_counter(), time.process_time()
        run()
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        return Best(min(self.clock, clock), min(self.processor, processor))


def networks(name: str, dtype: torch.dtype, device: str) -> tuple[nn.Module, Any]:
    """Our network and diffusers' with the same weights."""
    with torch.device("meta"):
        theirs: Any = UNet2DConditionModel(**CONFIGS[name])
    theirs = theirs.to(dtype=dtype).to_empty(device=device)
    for parameter in theirs.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.5
        parameter.data.uniform_(-spread, spread)
    weights = theirs.eval().requires_grad_(False).state_dict()
    found = recognise({key: tuple(tensor.shape) for key, tensor in weights.items()})
    assert found is not None
    assert found.names is not None
    with torch.device("meta"):
        ours = found.family.build(found.config)
    ours.load_state_dict({found.names[key]: tensor for key, tensor in weights.items()}, assign=True)
    return ours.eval().requires_grad_(False), theirs


def steps(name: str, side: int, dtype: torch.dtype, device: str) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
    """One step of ours and one of theirs, for a square picture of `side` pixels."""
    ours, theirs = networks(name, dtype, device)
    x = torch.randn(2, 4, side // 8, side // 8, dtype=dtype, device=device)
    context = torch.randn(2, 77, CONFIGS[name]["cross_attention_dim"], dtype=dtype, device=device)
    timesteps = torch.full((2,), 500, device=device)
    y, added = None, {}
    if name == "sdxl":
        pooled = torch.randn(2, 1280, dtype=dtype, device=device)
        sizes = torch.tensor([side, side, 0, 0, side, side], device=device).expand(2, -1)
        added = {"text_embeds": pooled, "time_ids": sizes}
        y = torch.cat([pooled, theirs.add_time_proj(sizes.flatten()).reshape(2, -1).to(dtype)], dim=1)
    return (
        lambda: ours(x, timesteps, context, y),
        lambda: theirs(x, timesteps, context, added_cond_kwargs=added).sample,
    )


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=[*CONFIGS, *TRANSFORMERS])
    parser.add_argument("--side", type=int, default=512, help="of the picture, in pixels")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--blocks", type=int, help="of transformers: so many of each kind, not all")
    options = parser.parse_args()

    wait = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    dtype = getattr(torch, options.dtype)
    if options.model in TRANSFORMERS:
        our_step, their_step = transformer_steps(options.model, options.side, dtype, options.device, options.blocks)
    else:
        our_step, their_step = steps(options.model, options.side, dtype, options.device)
    expected = their_step().float()
    error = (our_step().float() - expected).abs().max() / expected.std()
    ours, theirs = Best(), Best()
    for _ in range(options.runs):
        ours = ours.timed(lambda: (our_step(), wait()))
        theirs = theirs.timed(lambda: (their_step(), wait()))
    print("| model | pixels | precision | ours, s | diffusers, s | ratio | ratio of processor time | difference |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    print(
        f"| {options.model} | {options.side}² | {options.dtype} | {ours.clock:.2f} | {theirs.clock:.2f} "
        f"| {ours.clock / theirs.clock:.2f} | {ours.processor / theirs.processor:.2f} | {error:.1e} |"
    )


if __name__ == "__main__":
    main()
