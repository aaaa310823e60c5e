"""How long a 2 GB checkpoint takes to load and how much memory, against reading the file once.

    python -m benchmarks.loading [--rounds 5]

Makes a full-size SD 1.5 checkpoint of random half-precision weights in a temporary folder. Every measurement is a
process of its own, and the kinds take turns. `cold` drops the file from the page cache before each; `warm` does not.
"""

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KINDS = {
    "read": "read the file once",
    "load": "load model, text encoder and VAE: mapped",
    "touch": "the same, and touch every page",
    "convert": "the same, converted to float32 as for a CPU",
}


def make(path: Path) -> None:
    """A checkpoint with the names and shapes of the published file."""
    import torch

    from diffusion.checkpoints.write import write_safetensors
    from tests.diffusion import inventory

    noise = torch.randn(2**26).half() * 0.02
    shapes = inventory.shapes("sd15")
    write_safetensors(path, {name: noise[: math.prod(shape)].view(shape) for name, shape in shapes.items()})


def measure(kind: str, path: Path) -> dict[str, float]:
    """In this process: seconds, and peak and starting resident memory in MB."""
    import torch
    from transformers import CLIPTextModelWithProjection

    from diffusion.store import ModelStore, Precision

    assert CLIPTextModelWithProjection  # imported above so that the time is that of the file
    start_memory = _status("VmRSS")
    began = time.perf_counter()
    if kind == "read":
        buffer = bytearray(2**24)
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    else:
        precision = Precision() if kind == "convert" else Precision(None, None, None)
        model, encoders, autoencoder = ModelStore(precision).checkpoint(path)
        assert encoders
        assert autoencoder
        networks = (model.network, *encoders.networks.values(), autoencoder.network)
        for network in networks if kind != "load" else ():
            for tensor in network.state_dict().values():
                tensor.view(-1).view(torch.uint8)[::4096].sum()
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak": _status("VmHWM"), "start": start_memory}


def _status(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1000


def run(kind: str, path: Path, cold: bool) -> dict[str, float]:
    if cold:
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)
    command = [sys.executable, "-m", "benchmarks.loading", "--measure", kind, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sd15.safetensors"
        make(path)
        size = path.stat().st_size / 1e6
        print(f"file: {size:,.0f} MB; median of {rounds}; seconds, then memory above the process's own before\n")
        print("| what | cold | ratio | warm | ratio | peak memory |\n|---|---|---|---|---|---|")
        found = {(kind, cold): [] for kind in KINDS for cold in (True, False)}
        for _ in range(rounds):
            for cold in (True, False):
                for kind in KINDS:
                    found[kind, cold].append(run(kind, path, cold))
        for kind, words in KINDS.items():
            cells: list[str] = []
            for cold in (True, False):
                seconds, reading = (
                    statistics.median(one["seconds"] for one in found[which, cold]) for which in (kind, "read")
                )
                cells += [f"{seconds:.2f} s", f"{seconds / reading:.2f}"]
            peak = max(one["peak"] - one["start"] for cold in (True, False) for one in found[kind, cold])
            print(f"| {words} | {' | '.join(cells)} | {peak:,.0f} MB |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", nargs=2, metavar=("KIND", "FILE"), help="one measurement, as JSON")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], Path(arguments.measure[1]))))
    else:
        table(arguments.rounds)
