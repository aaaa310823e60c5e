"""One acknowledged request to run a graph, as it crosses from the server to a worker. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """id: the prompt id. number: priority, smaller first. graph: the API prompt after validation, values converted.
    outputs: the output nodes to run, in prompt order. extra: `extra_data` as submitted (client id, workflow for
    metadata, secrets); never shown to other clients unredacted."""

    id: str
    number: float
    graph: Mapping[str, Any]
    outputs: tuple[str, ...]
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def client_id(self) -> str | None:
        client = self.extra.get("client_id")
        return client if isinstance(client, str) else None


# What a request may carry for the services behind a node: it may reach the node, and nobody else.
SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")


def redacted(extra: Mapping[str, Any]) -> dict[str, Any]:
    """`extra_data` as others may see it, and as it is kept once the job has ended."""
    return {key: value for key, value in extra.items() if key not in SECRETS}
