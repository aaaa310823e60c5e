"""What packs cost at the start beyond their own imports, and whether the page waits for them.

    python benchmarks/packs.py

Loads packs of 200 nodes in each style, and starts a server whose pack takes three seconds to import.
"""

import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.end_to_end.conftest import start, wait_until_ready  # noqa: E402

CLASSES = """
def make(number):
    class Kind:
        CATEGORY, FUNCTION, RETURN_TYPES = "many", "go", ("IMAGE", "MASK")

        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"image": ("IMAGE",), "n": ("INT", {"default": 1, "min": 0, "max": 9}),
                                 "f": ("FLOAT", {"default": 0.5}), "how": (["a", "b"],), "text": ("STRING", {})},
                    "optional": {"mask": ("MASK",)}}

        def go(self, **inputs):
            return None, None

    return Kind

NODE_CLASS_MAPPINGS = {f"Many{number}": make(number) for number in range(200)}
"""
SCHEMAS = """
from comfy_api.latest import ComfyExtension, io

def make(number):
    class Kind(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(f"Many{number}", category="many", inputs=[
                io.Image.Input("image"), io.Int.Input("n", default=1, min=0, max=9), io.Float.Input("f", default=0.5),
                io.Combo.Input("how", options=["a", "b"]), io.String.Input("text"),
                io.Mask.Input("mask", optional=True),
            ], outputs=[io.Image.Output(), io.Mask.Output()])

        @classmethod
        def execute(cls, **inputs):
            return io.NodeOutput(None, None)

    return Kind

KINDS = [make(number) for number in range(200)]

class Pack(ComfyExtension):
    async def get_node_list(self):
        return KINDS

def comfy_entrypoint():
    return Pack()
"""
SLOW = "import time\ntime.sleep(3)\nWEB_DIRECTORY = 'web'\n" + CLASSES
LOAD = """
import sys, tempfile
from pathlib import Path
import torch
from compat.found import Wanted
from compat.install import install
from compat.packs import load_packs
from compat.world import World
from diffusion.store import ModelStore
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs

base = Path(sys.argv[1])
folders = Folders(base)
folders.make()
install(World(folders, Inputs(base, base, base), Outputs(base, base), ModelStore()))
import comfy_api.latest
[pack] = load_packs([base / "custom_nodes"], Wanted(), {}).packs
assert len(pack.specs) == 200, pack.trouble
print(pack.declaring)
"""


def declaring(text: str) -> float:
    """Seconds to read 200 nodes of a pack that is imported already; median of five processes."""
    times: list[float] = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "custom_nodes").mkdir()
            (Path(folder) / "custom_nodes" / "many.py").write_text(text)
            done = subprocess.run(
                [sys.executable, "-c", LOAD, folder], cwd=ROOT, capture_output=True, text=True, check=True
            )
            times.append(float(done.stdout))
    return statistics.median(times)


def opening() -> tuple[float, float]:
    """Seconds from the start of a server until the page, the nodes and the scripts of packs have been answered, at the
    first start and at the next one."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        web = base / "custom_nodes" / "slow" / "web"
        web.mkdir(parents=True)
        (web / "a.js").write_text("")
        (web.parent / "__init__.py").write_text(SLOW)
        times: list[float] = []
        for _ in range(2):
            began = time.perf_counter()
            running = start(base)
            for path in ("/", "/object_info", "/extensions"):
                with urllib.request.urlopen(running.url + path, timeout=60) as answer:
                    answer.read()
            times.append(time.perf_counter() - began)
            wait_until_ready(running.url)
            running.kill()
        return times[0], times[1]


def main() -> None:
    print("| what | measured | target |\n|---|---|---|")
    for style, text in (("classes", CLASSES), ("schemas", SCHEMAS)):
        print(f"| 200 {style}, beyond importing them, median of 5 | {declaring(text) * 1000:.0f} ms | ≤ 200 ms |")
    first, again = opening()
    print(f"| a pack that imports for 3 s: page, nodes and scripts at the very first start | {first:.1f} s | – |")
    print(f"| at every later start | {again:.2f} s | ≤ 1 s |")


if __name__ == "__main__":
    main()
