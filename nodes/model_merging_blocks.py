"""Merging two models of one line with a ratio for each block: menu `advanced/model_merging/model_specific`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from execution.context import Run
from nodes.declare import Node, node
from nodes.markers import Each, Given
from nodes.model_merging import Ratio, merged
from nodes.wire import Model


def blocks(stem: str, count: int, end: str = ".") -> list[str]:
    return [f"{stem}.{place}{end}" for place in range(count)]


UNET = [
    *("time_embed.", "label_emb.", *blocks("input_blocks", 12)),
    *(*blocks("middle_block", 3), *blocks("output_blocks", 12), "out."),
]
UNET_XL = [
    *("time_embed.", "label_emb.", *blocks("input_blocks", 9, "")),
    *(*blocks("middle_block", 3, ""), *blocks("output_blocks", 9, ""), "out."),
]
MMDIT = ["pos_embed.", "x_embedder.", "context_embedder.", "y_embedder.", "t_embedder."]
FLUX = [
    *("img_in.", "time_in.", "guidance_in", "vector_in.", "txt_in."),
    *(*blocks("double_blocks", 19), *blocks("single_blocks", 38), "final_layer."),
]
AURAFLOW = [
    *("init_x_linear.", "positional_encoding", "cond_seq_linear.", "register_tokens", "t_embedder."),
    *(*blocks("double_layers", 4), *blocks("single_layers", 32), "modF.", "final_linear."),
]
QWEN = [
    *("pos_embeds.", "img_in.", "txt_norm.", "txt_in.", "time_text_embed."),
    *(*blocks("transformer_blocks", 60), "proj_out."),
]


def merging(id: str, beginnings: Sequence[str]) -> Node[..., Model]:
    """The node whose inputs are ratios by the beginning of a weight's name."""

    @node(id, category="advanced/model_merging/model_specific")
    def merge_blocks(
        *, model1: Model, model2: Model, ratios: Annotated[Mapping[str, Ratio], Each(beginnings, 1.0)], run: Given[Run]
    ) -> Model:
        """Mix two models block by block; 1 keeps the first. Weights of no block take the first ratio."""
        return merged(model1, model2, dict(ratios), run)

    return merge_blocks


model_merge_sd1 = merging("ModelMergeSD1", UNET)
model_merge_sd2 = merging("ModelMergeSD2", UNET)
model_merge_sdxl = merging("ModelMergeSDXL", UNET_XL)
model_merge_sd3_2b = merging("ModelMergeSD3_2B", [*MMDIT, *blocks("joint_blocks", 24), "final_layer."])
model_merge_sd35_large = merging("ModelMergeSD35_Large", [*MMDIT, *blocks("joint_blocks", 38), "final_layer."])
model_merge_flux1 = merging("ModelMergeFlux1", FLUX)
model_merge_auraflow = merging("ModelMergeAuraflow", AURAFLOW)
model_merge_qwen_image = merging("ModelMergeQwenImage", QWEN)
