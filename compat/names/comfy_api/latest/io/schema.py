"""What a node says of itself, and what it returns."""

from collections.abc import Iterator
from enum import Enum, StrEnum
from typing import Any

from comfy_api.latest.io.inputs import Input, Output


class Hidden(StrEnum):
    """What a node may ask of its job; found under `cls.hidden`."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"
    comfy_usage_source = "COMFY_USAGE_SOURCE"


class HiddenHolder:
    """Hidden values by name; None for what was not asked for."""

    def __init__(self, values: dict[str, Any] | None = None):
        self.__dict__.update(values or {})

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class Schema:
    """A node's declaration. Keywords nobody here knows are kept in `more` and told to the page."""

    def __init__(
        self,
        node_id: str,
        display_name: str | None = None,
        category: str = "sd",
        inputs: list[Input] | None = None,
        outputs: list[Output] | None = None,
        hidden: list[Hidden] | None = None,
        description: str = "",
        is_input_list: bool = False,
        is_output_node: bool = False,
        is_deprecated: bool = False,
        is_experimental: bool = False,
        is_api_node: bool = False,
        not_idempotent: bool = False,
        enable_expand: bool = False,
        accept_all_inputs: bool = False,
        search_aliases: list[str] | None = None,
        is_dev_only: bool = False,
        essentials_category: str | None = None,
        has_intermediate_output: bool = False,
        price_badge: Any = None,
        **more: Any,
    ):
        self.node_id = node_id
        self.display_name = display_name
        self.category = category
        self.inputs = list(inputs or [])
        self.outputs = list(outputs or [])
        self.hidden = list(hidden or [])
        self.description = description
        self.is_input_list = is_input_list
        self.is_output_node = is_output_node
        self.is_deprecated = is_deprecated
        self.is_experimental = is_experimental
        self.is_api_node = is_api_node
        self.not_idempotent = not_idempotent
        self.enable_expand = enable_expand
        self.accept_all_inputs = accept_all_inputs
        self.search_aliases = search_aliases
        self.is_dev_only = is_dev_only
        self.essentials_category = essentials_category
        self.has_intermediate_output = has_intermediate_output
        self.price_badge = price_badge
        self.more = more

    def validate(self) -> None:
        """Raises ValueError when two inputs, or two outputs, have one id."""
        for what, ids in (("input", [i.id for i in self.inputs]), ("output", [o.id for o in self.outputs if o.id])):
            twice = sorted({id for id in ids if ids.count(id) > 1})
            if twice:
                raise ValueError(f"{self.node_id}: each {what} needs an id of its own, used twice: {', '.join(twice)}")

    def finalize(self) -> None:
        """Fill in what follows from the rest: hidden inputs of saving and paying nodes, ids of unnamed outputs."""
        wanted: list[Hidden] = []
        if self.is_output_node:
            wanted += [Hidden.prompt, Hidden.extra_pnginfo]
        if self.is_api_node:
            wanted += [Hidden.auth_token_comfy_org, Hidden.api_key_comfy_org]
        self.hidden += [one for one in wanted if one not in self.hidden]
        for index, output in enumerate(self.outputs):
            if output.id is None:
                output.id = f"_{index}_{output.io_type}_"


class NodeOutput:
    """What `execute` returns: the values in order, and what else there is. Also indexed like the tuple of values.

    ui: a dict of lists, or one of `ui`'s objects. expand: a graph to run in the node's place. block_execution: a
    message that stops everything downstream."""

    def __init__(self, *args: Any, ui: Any = None, expand: dict | None = None, block_execution: str | None = None):
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        return self.args if self.args else None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "NodeOutput":
        """From the older form: a dict with any of `result`, `ui`, `expand`."""
        return cls(*(data.get("result") or ()), ui=data.get("ui"), expand=data.get("expand"))

    def __getitem__(self, index: Any) -> Any:
        return self.args[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.args)

    def __len__(self) -> int:
        return len(self.args)

    def __bool__(self) -> bool:
        return True
