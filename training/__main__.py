"""Trains the starter model and its companions: one stage, or all in order.

    python -m training autoencoder
    python -m training all --minutes 9

Every stage draws what it needs, goes on where an earlier run of it was cut, and writes its file when it is done.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from training import autoencoder, controlnet, embedding, few_steps, lora, preview, text_to_image, upscaler
from training.run import Run

STAGES: Mapping[str, Callable[[Run], bool]] = {
    "autoencoder": autoencoder.train,
    "text-to-image": text_to_image.train,
    "lineart": lora.train,
    "few-steps": few_steps.train,
    "edges": controlnet.train,
    "emblem": embedding.train,
    "preview": preview.train,
    "upscaler": upscaler.train,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="states, losses, drawn pictures")
    parser.add_argument("--models", type=Path, default=Path("models"), help="where finished files go")
    parser.add_argument("--size", type=int, default=256, help="pixels of a picture's side")
    parser.add_argument("--count", type=int, default=80_000, help="pictures to draw")
    parser.add_argument("--steps", type=int, help="instead of the stage's own")
    parser.add_argument("--batch", type=int, help="instead of the stage's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop, to go on later, after this time")
    given = parser.parse_args()
    deadline = time.monotonic() + 60 * given.minutes
    run = Run(given.folder, given.models, given.size, given.count, given.seed, given.steps, given.batch, deadline)
    for name in STAGES if given.stage == "all" else (given.stage,):
        finished = given.folder / name / "finished"
        if given.stage == "all" and finished.exists():
            continue
        if not STAGES[name](run):
            print(f"{name} was stopped; the same command goes on with it")
            return 1
        finished.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
