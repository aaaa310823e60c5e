"""What an integrator writes in ten lines, grown to what the tests ask: urllib and websocket-client, nothing of ours."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

import websocket


class Client:
    """One client of a running server. Messages are kept as they come; binary frames as bytes."""

    def __init__(self, url: str, client_id: str | None = None):
        self.url = url
        self.id = client_id or uuid.uuid4().hex
        address = url.replace("http://", "ws://") + f"/ws?clientId={self.id}"
        self.socket = websocket.create_connection(address, timeout=60)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body. body: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def get(self, path: str) -> Any:
        status, body = self.request("GET", path)
        assert status == 200, (path, status, body[:300])
        return json.loads(body)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        status, answer = self.request("POST", path, body)
        return status, json.loads(answer) if answer else None

    def upload(self, name: str, data: bytes) -> Any:
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        status, answer = self.request(
            "POST", "/upload/image", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )
        assert status == 200, answer
        return json.loads(answer)

    def submit(self, graph: dict[str, Any], **more: Any) -> str:
        status, answer = self.post("/prompt", {"prompt": graph, "client_id": self.id, **more})
        assert status == 200, answer
        return answer["prompt_id"]

    def next_message(self, seconds: float = 60) -> Any:
        """The next JSON message, or the bytes of a binary frame."""
        self.socket.settimeout(seconds)
        frame = self.socket.recv()
        return json.loads(frame) if isinstance(frame, str) else frame

    def until(self, type: str, seconds: float = 60, **data: Any) -> list[Any]:
        """Messages up to and including the first of this type whose data holds these values."""
        seen: list[Any] = []
        deadline = time.monotonic() + seconds
        while True:
            seen.append(message := self.next_message(max(0.1, deadline - time.monotonic())))
            if isinstance(message, dict) and message["type"] == type and data.items() <= message["data"].items():
                return seen

    def run(self, graph: dict[str, Any], seconds: float = 60, **more: Any) -> tuple[str, list[Any]]:
        """Submit and listen to the end: the prompt id, and everything that was said."""
        prompt_id = self.submit(graph, **more)
        return prompt_id, self.until("executing", seconds, node=None, prompt_id=prompt_id)

    def history(self, prompt_id: str) -> Any:
        return self.get(f"/history/{prompt_id}")[prompt_id]

    def view(self, image: dict[str, str]) -> bytes:
        status, data = self.request("GET", "/view?" + urllib.parse.urlencode(image))
        assert status == 200
        return data


def said(messages: list[Any], *but: str) -> list[str]:
    """The types of the JSON messages in order, without those named."""
    return [m["type"] for m in messages if isinstance(m, dict) and m["type"] not in but]
