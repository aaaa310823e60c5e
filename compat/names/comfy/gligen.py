"""Boxes with phrases: our own nodes apply them; packs find the class they change."""

from diffusion.models.gligen import Gligen as Network


class Gligen(Network):
    """Networks of this kind are asked by the library, not by these methods."""

    def _set_position(self, boxes, masks, positive_embeddings):
        from compat.placeholder import NotPromised

        raise NotPromised("comfy.gligen.Gligen._set_position")
