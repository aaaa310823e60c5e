"""Jobs as clients read them: in the queue, and as one list with those that ended.

Secrets that came with a job are for the worker; no client sees them again, not even the one that sent them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from execution.history import KeptJob
from execution.job import redacted
from execution.queue import WaitingJob

PREVIEWABLE = ("images", "gifs", "video", "audio", "3d")
_STATES = {"execution_success": "completed", "execution_interrupted": "cancelled", "execution_error": "failed"}


def row(job: WaitingJob) -> list[Any]:
    """The five elements by which clients know a job; their order and number are theirs to rely on."""
    return [job.number, job.id, job.graph, redacted(job.extra), list(job.targets)]


def waiting(job: KeptJob, state: str) -> dict[str, Any]:
    """A job that has not ended, in the jobs list. state: "pending" or "in_progress"."""
    shown = {
        "id": job.id,
        "status": state,
        "priority": job.number,
        "create_time": round(job.submitted_at * 1000),
        "outputs_count": 0,
        "workflow_id": workflow_id(job.extra),
    }
    return _without_none(shown)


def ended(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A job that ended, in the jobs list. entry: as `/history` shows it."""
    number, id, _, extra, _ = entry["prompt"]
    messages: Sequence[tuple[str, dict[str, Any]]] = entry["status"]["messages"]
    times: dict[str, Any] = {type: data.get("timestamp") for type, data in messages}
    last_type, last = messages[-1] if messages else ("execution_error", dict[str, Any]())
    items = outputs(entry["outputs"])
    previews = [item for item in items if item["mediaType"] in PREVIEWABLE]
    state = _STATES.get(last_type, "failed")
    shown: dict[str, Any] = {
        "id": id,
        "status": state,
        "priority": number,
        "create_time": _create_time(extra) or times.get("execution_start") or last.get("timestamp"),
        "execution_start_time": times.get("execution_start"),
        "execution_end_time": last.get("timestamp"),
        "execution_error": last if state == "failed" else None,
        "outputs_count": len(items),
        "previewable_outputs_count": len(previews),
        "preview_output": previews[-1] if previews else None,
        "workflow_id": workflow_id(extra),
    }
    return _without_none(shown)


def with_workflow(shown: dict[str, Any], graph: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {**shown, "workflow": {"prompt": graph, "extra_data": redacted(extra)}}


def outputs(ui_by_node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every file that nodes report, with the node it came from."""
    found: list[dict[str, Any]] = []
    for id, ui in ui_by_node.items():
        for media, rows in cast(Mapping[str, Any], ui).items():
            if not isinstance(rows, list | tuple):
                continue
            for item in cast(Sequence[Any], rows):
                if isinstance(item, Mapping) and "filename" in item:
                    found.append({**cast(Mapping[str, Any], item), "nodeId": id, "mediaType": media})
    return found


def workflow_id(extra: Mapping[str, Any]) -> str | None:
    """The id that the editor gave the workflow, if it sent one."""
    found: Any = extra
    for key in ("extra_pnginfo", "workflow", "id"):
        found = cast(Mapping[str, Any], found).get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def _create_time(extra: Mapping[str, Any]) -> int | None:
    created = extra.get("create_time")
    return created if isinstance(created, int) else None


def _without_none(shown: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.items() if value is not None}
