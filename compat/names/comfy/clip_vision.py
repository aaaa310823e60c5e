"""CLIP_VISION objects: networks that describe pictures by numbers."""

import torch

from comfy.model_patcher import ModelPatcher
from compat.border import outward
from compat.world import world
from diffusion.models import clip_vision as library
from diffusion.models.clip_vision import MEAN, STD


class Output:
    """Values by attribute or by name."""

    def __init__(self, **values):
        self.__dict__.update(values)

    def __getitem__(self, key):
        return getattr(self, key)

    def __setitem__(self, key, item):
        setattr(self, key, item)


def clip_preprocess(image, size=224, mean=list(MEAN), std=list(STD), crop=True):
    """(B, H, W, 3) in 0…1 → (B, 3, size, size), normalised."""
    return library.preprocess(image, size, crop=crop, mean=tuple(mean), std=tuple(std))


siglip_preprocess = clip_preprocess


def as_called(network):
    """The same network, called as (pixel_values, attention_mask, intermediate_output): a tuple of the last states,
    those of a layer counted as in a list, and the embedding."""
    import copy

    kind = type(network)
    twin = copy.copy(network)
    twin.__class__ = type(kind.__name__, (_CalledByPacks, kind), {"__module__": kind.__module__})
    return twin


class _CalledByPacks:
    def forward(self, pixel_values=None, attention_mask=None, intermediate_output=None, **more):
        if more:
            return super().forward(pixel_values, **more)
        out = super().forward(pixel_values, output_hidden_states=True)
        layer = None if intermediate_output is None else out.hidden_states[intermediate_output]
        return out.last_hidden_state, layer, library.embedding_of(out), None


class ClipVisionModel:
    def __init__(self, json_config=None):
        if json_config is not None:
            raise ValueError("a CLIP vision model is loaded from a file: comfy.clip_vision.load(path)")

    @classmethod
    def of(cls, network) -> "ClipVisionModel":
        made = cls()
        parameter = next(network.parameters())
        made.model = as_called(network)
        made.native = network
        made.load_device, made.offload_device = parameter.device, torch.device("cpu")
        made.dtype = parameter.dtype
        made.image_size = network.config.image_size
        made.image_mean, made.image_std = map(list, library.normalisation(network))
        made.return_all_hidden_states = False
        made.patcher = ModelPatcher(network, made.load_device, made.offload_device)
        made.patcher.native = None
        return made

    def load_sd(self, sd):
        return self.model.load_state_dict(sd, strict=False)

    def get_sd(self):
        return self.model.state_dict()

    def encode_image(self, image, crop=True):
        """image: (B, H, W, 3) in 0…1."""
        pixels = clip_preprocess(image, self.image_size, self.image_mean, self.image_std, crop)
        with torch.no_grad():
            out = self.native(pixels.to(self.load_device, self.dtype), output_hidden_states=True)
        states = [state.float() for state in out.hidden_states]
        return Output(
            last_hidden_state=out.last_hidden_state.float(),
            image_embeds=library.embedding_of(out).float(),
            penultimate_hidden_states=states[-2],
            all_hidden_states=torch.stack(states, dim=1) if self.return_all_hidden_states else None,
            mm_projected=None,
            image_sizes=[tuple(picture.shape) for picture in image],
        )


def output_of(seen: library.ClipVisionOutput) -> Output:
    """A CLIP_VISION_OUTPUT of ours as packs know it."""
    return Output(
        last_hidden_state=seen.last_hidden_state,
        image_embeds=seen.image_embeds,
        penultimate_hidden_states=seen.penultimate_hidden_state,
        all_hidden_states=None,
        mm_projected=None,
    )


def seen_of(output: Output) -> library.ClipVisionOutput:
    return library.ClipVisionOutput(
        output["last_hidden_state"], output["penultimate_hidden_states"], output["image_embeds"]
    )


def load(ckpt_path):
    return ClipVisionModel.of(world().store.clip_vision(ckpt_path))


def load_clipvision_from_sd(sd, prefix="", convert_keys=False):
    """None where the tensors are of no model that is known."""
    from comfy.sd import _in_a_file
    from diffusion.checkpoints.errors import CheckpointError

    tensors = {name.removeprefix(prefix): tensor for name, tensor in sd.items()}
    try:
        return ClipVisionModel.of(_in_a_file(tensors, world().store.clip_vision))
    except CheckpointError:
        return None


outward(Output, lambda output: seen_of(output) if hasattr(output, "image_embeds") else output)
outward(ClipVisionModel, lambda model: model.native)
