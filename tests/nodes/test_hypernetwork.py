from pathlib import Path
from typing import Any

import torch

from storage.folders import Folders
from tests.diffusion.patches.test_hypernetworks import file
from tests.diffusion.text.encoders import WIDTH
from tests.nodes import tiny
from tests.nodes.conftest import Call


def test_a_model_is_changed_by_a_hypernetwork(call: Call, given: dict[str, Any], tmp_path: Path):
    folders = given["folders"] = Folders(tmp_path)
    folder = folders.directories("hypernetworks")[0]
    folder.mkdir(parents=True)
    file(folder / "h.pt", widths=(WIDTH,))
    model = tiny.model()
    changed = call("HypernetworkLoader", model=model, hypernetwork_name="h.pt", strength=1.0)
    inputs = torch.randn(1, 4, 8, 8), torch.tensor([5.0]), torch.randn(1, 7, WIDTH)
    assert not tiny.close(model.network(*inputs), model.network(*inputs, hooks=changed.hooks))
