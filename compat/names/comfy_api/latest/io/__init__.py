"""`io`: nodes, their schemas, and the types of their inputs and outputs."""

from comfy_api.latest.io.dynamic import Autogrow, DynamicCombo, DynamicSlot, MatchType
from comfy_api.latest.io.inputs import Input, Output, WidgetInput
from comfy_api.latest.io.node import ComfyNode
from comfy_api.latest.io.schema import Hidden, HiddenHolder, NodeOutput, Schema
from comfy_api.latest.io.types import ComfyType, ComfyTypeI, ComfyTypeIO, Custom, comfytype, sockets
from comfy_api.latest.io.widgets import (
    Boolean,
    Combo,
    ControlAfterGenerate,
    Float,
    FolderType,
    Int,
    MultiCombo,
    MultiType,
    NumberDisplay,
    RemoteComboOptions,
    RemoteItemSchema,
    RemoteOptions,
    String,
    UploadType,
    Webcam,
)

globals().update(sockets())  # Image, Mask, Latent, Model, … as `types.SOCKETS` lists them


class NodeReplace:
    """Which older node a node takes the place of, and how its inputs and outputs are carried over."""

    def __init__(
        self,
        new_node_id: str,
        old_node_id: str,
        old_widget_ids: list[str] | None = None,
        input_mapping: list | None = None,
        output_mapping: list | None = None,
        **more: object,
    ):
        self.new_node_id = new_node_id
        self.old_node_id = old_node_id
        self.old_widget_ids = old_widget_ids
        self.input_mapping = input_mapping
        self.output_mapping = output_mapping

    def as_dict(self) -> dict[str, object]:
        return dict(vars(self))
