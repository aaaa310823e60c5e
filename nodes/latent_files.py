"""Latents in and out of files: menu `_for_testing`."""

from typing import Annotated

from diffusion.images.latent_file import encode_latent, read_latent_file
from execution.context import Run
from nodes.declare import SAVES, node
from nodes.image_files import content_hash, existing
from nodes.markers import Choice, Given, Ui
from nodes.saving import metadata
from nodes.wire import Latent
from storage.inputs import Inputs
from storage.outputs import Outputs


@node("SaveLatent", category="_for_testing", output=True, hidden=SAVES)
def save_latent(
    *, samples: Latent, filename_prefix: str = "latents/ComfyUI", outputs: Given[Outputs], run: Given[Run]
) -> Ui:
    """Save a latent, to go on with it another time."""
    data = encode_latent(samples["samples"], metadata(run, outputs))
    return Ui({"latents": [outputs.series(filename_prefix).save_bytes(data, ".latent").entry()]})


@node("LoadLatent", category="_for_testing")
def load_latent(
    *, latent: Annotated[str, Choice.of("input files (.latent)", names_file=True)], inputs: Given[Inputs]
) -> Latent:
    """Read a saved latent."""
    return {"samples": read_latent_file(existing(latent, inputs))}


@load_latent.fingerprint
def _(*, latent: str, inputs: Inputs) -> str:
    return content_hash(existing(latent, inputs))
