"""What stands beside a checkpoint about how it was trained, where its tensors cannot tell."""

import re

from diffusion.checkpoints.read import Checkpoint

PREDICTION = "prediction_type"
"""Metadata under which a diffusers folder's scheduler says what the network predicts, in diffusers' words."""

_PARAMETERIZATION = re.compile(r"^\s*parameterization:\s*[\"']?v[\"']?\s*(#.*)?$", re.MULTILINE)


def says_v(checkpoint: Checkpoint) -> bool:
    """Whether a scheduler file or a `.yaml` of the same name says that the network predicts v."""
    if checkpoint.metadata.get(PREDICTION) == "v_prediction":
        return True
    config = checkpoint.path.with_suffix(".yaml")
    if not config.is_file() or config.stat().st_size > 2**20:
        return False
    return bool(_PARAMETERIZATION.search(config.read_text(encoding="utf-8", errors="replace")))
