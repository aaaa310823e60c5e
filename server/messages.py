"""Events in, frames out: the one place where what happened becomes what clients read.

Text frames are `{"type", "data"}`; binary frames begin with a big-endian word that says what they are. Numbers that
JSON has no word for (NaN, infinities) become null. Times go out in milliseconds.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

from execution.events import (
    Cached,
    Ending,
    NodeBlocked,
    NodeFinished,
    NodeRef,
    NodeStarted,
    Preview,
    Progress,
    Started,
    Succeeded,
    Text,
)
from execution.record import status_message

PREVIEW, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
JPEG, PNG = 1, 2


def dumps(value: Any) -> str:
    """JSON text of plain data. Non-finite numbers become null, what is not plain becomes its text."""
    try:
        return json.dumps(value, allow_nan=False, default=str, separators=(",", ":"))
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, default=str, separators=(",", ":"))


def message(type: str, data: Any) -> str:
    return dumps({"type": type, "data": data})


def status(remaining: int, sid: str | None = None) -> str:
    """sid: the client's id, told once, when it connects."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    return message("status", data if sid is None else {**data, "sid": sid})


def of_job(event: Started | Cached | Ending, graph: Mapping[str, Any]) -> str:
    """What history keeps too: a job's beginning, what was at hand, its end."""
    pair = status_message(event, graph)
    if pair is None:
        raise TypeError(f"{type(event).__name__} is no message of its own")
    type_, data = pair
    if isinstance(event, Succeeded) and event.notes:
        data = {**data, "notes": list(event.notes)}
    return message(type_, data)


def executing(event: NodeStarted) -> str:
    return _executing(event.prompt_id, event.node)


def still_executing(prompt_id: str, node: NodeRef) -> str:
    """What a client that comes back is told: the node, as it is shown."""
    return message("executing", {"node": node.display, "display_node": node.display, "prompt_id": prompt_id})


def nothing_executing(prompt_id: str) -> str:
    """The end marker: the job is filed and can be asked for."""
    return message("executing", {"node": None, "prompt_id": prompt_id})


def progress(event: Progress) -> str:
    data = {"value": event.value, "max": event.total, "prompt_id": event.prompt_id, "node": event.node.id}
    return message("progress", data)


def executed(event: NodeFinished) -> str:
    output = None if event.ui is None else dict(event.ui)
    node = event.node
    data = {"node": node.id, "display_node": node.display, "output": output, "prompt_id": event.prompt_id}
    return message("executed", data)


def blocked(event: NodeBlocked) -> str:
    """A blocker's message travels as an error, without a timestamp; `terminal` says that the job goes on."""
    data: dict[str, Any] = {
        "prompt_id": event.prompt_id,
        "node_id": event.node.real,
        "node_type": event.node_type,
        "executed": list(event.executed),
        "exception_message": f"Execution Blocked: {event.message}",
        "exception_type": "ExecutionBlocked",
        "traceback": [],
        "current_inputs": [],
        "current_outputs": [],
        "terminal": False,
    }
    return message("execution_error", data)


def node_state(prompt_id: str, node: NodeRef, value: float, total: float, state: str) -> dict[str, Any]:
    """One node's row in `progress_state`."""
    return {
        "value": float(value),
        "max": float(total),
        "state": state,
        "node_id": node.id,
        "prompt_id": prompt_id,
        "display_node_id": node.display,
        "parent_node_id": node.parent,
        "real_node_id": node.real,
    }


def progress_state(prompt_id: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    return message("progress_state", {"prompt_id": prompt_id, "nodes": rows})


def logs(entries: Sequence[Mapping[str, str]], size: Mapping[str, int] | None) -> str:
    return message("logs", {"entries": list(entries), "size": size})


def preview(event: Preview) -> bytes:
    """The frame of clients that negotiated nothing: which node it belongs to follows from the last `executing`."""
    return struct.pack(">II", PREVIEW, JPEG if event.format == "jpeg" else PNG) + event.image


def preview_with_metadata(event: Preview) -> bytes:
    node = event.node
    about = {
        "node_id": node.id,
        "prompt_id": event.prompt_id,
        "display_node_id": node.display,
        "parent_node_id": node.parent,
        "real_node_id": node.real,
        "image_type": f"image/{event.format}",
    }
    head = dumps(about).encode()
    return struct.pack(">II", PREVIEW_WITH_METADATA, len(head)) + head + event.image


def text(event: Text) -> bytes:
    id = event.node.id.encode("utf-8", "replace")
    return struct.pack(">II", TEXT, len(id)) + id + event.text.encode("utf-8", "replace")


def binary(event: int, payload: bytes) -> bytes:
    """A third-party node's own frame."""
    return struct.pack(">I", event & 0xFFFFFFFF) + payload


def _executing(prompt_id: str, node: NodeRef) -> str:
    return message("executing", {"node": node.id, "display_node": node.display, "prompt_id": prompt_id})


def _finite(value: Any) -> Any:
    """A copy without non-finite numbers. Data this deep or circular never comes from JSON; it would not end here."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        rows = cast(Mapping[Any, Any], value)
        return {_key(key): _finite(item) for key, item in rows.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in cast(Sequence[Any], value)]
    return value


def _key(key: Any) -> Any:
    return str(key) if isinstance(key, float) else key
