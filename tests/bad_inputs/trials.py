"""How each kind of trial is carried out, and what it expects."""

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import websocket
from PIL import Image

from tests.end_to_end.conftest import ROOT, Server

Trial = dict[str, Any]
QUICK = 10.0  # seconds for an answer; on an idle machine nothing here takes a tenth of one


def text_of(value: Any) -> str:
    """A text, or the pieces of one: [[text, times], …]."""
    return value if isinstance(value, str) else "".join(piece * count for piece, count in value)


def filled(value: Any) -> Any:
    """A value with every {"pieces": …} in it made into text."""
    if isinstance(value, dict):
        if set(value) == {"pieces"}:
            return text_of(value["pieces"])
        return {text_of(json.loads(key)) if key.startswith("[[") else key: filled(item) for key, item in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value


def body_of(trial: Trial) -> bytes | None:
    if "hex" in trial:
        return bytes.fromhex(trial["hex"])
    if "json" in trial:
        return json.dumps(filled(trial["json"])).encode()
    if "body" in trial:
        return text_of(trial["body"]).encode(trial.get("encoding", "utf-8"))
    return None


def chain(count: int, cyclic: bool = False) -> dict[str, Any]:
    def node(n: int) -> dict[str, Any]:
        link: Any = [str((n or count) - 1), 0] if n or cyclic else ""
        return {"class_type": "StringConcatenate", "inputs": {"string_a": link, "string_b": "", "delimiter": ""}}

    graph = {str(n): node(n) for n in range(count - 1)}
    if cyclic:
        graph["0"]["inputs"]["string_a"] = [str(count - 2), 0]
    graph["out"] = {"class_type": "PreviewAny", "inputs": {"source": [str(count - 2), 0]}}
    return graph


def graph_of(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"chain"}:
        return chain(value["chain"])
    if isinstance(value, dict) and set(value) == {"cycle"}:
        return chain(value["cycle"], cyclic=True)
    return filled(value)


def expect_status(trial: Trial, status: int, where: Any) -> None:
    wanted = trial["status"] if isinstance(trial["status"], list) else [trial["status"]]
    assert status in wanted, f"{where}: answered {status}, expected {wanted}"


def expect_words(trial: Trial, text: str) -> None:
    for words in [trial["says"]] if isinstance(trial.get("says"), str) else trial.get("says", []):
        assert words in text, f"{words!r} is not in {text[:500]!r}"
    for words in trial.get("never_says", []):
        assert words not in text


def request(
    server: Server, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, Message]:
    """Status, body and headers of the answer. body: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    asked = urllib.request.Request(server.url + path, data=data, method=method, headers=headers or {})
    if data is not None and "Content-type" not in asked.headers:
        asked.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=QUICK) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def send(server: Server, trial: Trial) -> None:
    """send: "METHOD path". headers, body, json or hex; status, says."""
    method, path = trial["send"].split(" ", 1)
    headers = {name: text_of(value).replace("OWN", server.url) for name, value in trial.get("headers", {}).items()}
    status, text, said = request(server, method, path, body_of(trial), headers)
    expect_status(trial, status, f"{method} {path[:80]} said {text[:300]!r}")
    expect_words(trial, text.decode("utf-8", "replace"))
    for name, value in trial.get("answer_headers", {}).items():
        assert (said.get(name) or "") == value, f"{name}: {said.get(name)}"


def raw(server: Server, trial: Trial) -> None:
    """raw: bytes as latin-1 text or pieces; then wait until the server closes or answers. status: 0 is no answer."""
    address = urllib.parse.urlsplit(server.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=QUICK) as connection:
        sent = text_of(trial["raw"]).encode("latin-1")
        try:
            connection.sendall(sent)
            if trial.get("hang_up"):
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
                if not trial.get("to_the_end") and b"\r\n\r\n" in answer:
                    break
        except (ConnectionError, TimeoutError):
            answer = b""
    status = int(answer.split()[1]) if answer else 0
    expect_status(trial, status, sent[:100])
    if "answers" in trial:
        assert answer.count(b"HTTP/1.1 ") == trial["answers"]
    expect_words(trial, answer.decode("latin-1"))


def graph(server: Server, trial: Trial) -> None:
    """graph: what `prompt` is. body: the rest of the request. status, type, says."""
    body = {"prompt": graph_of(trial["graph"]), **filled(trial.get("with", {}))}
    status, text, _ = request(server, "POST", "/prompt", body)
    expect_status(trial, status, text[:300])
    if status == 400:
        error = json.loads(text)["error"]
        assert error["type"], text[:300]
        assert error["message"], text[:300]
    expect_words(trial, text.decode())
    assert len(text) < 2**20


def values(server: Server, trial: Trial) -> None:
    """values: {class, input, given: the other inputs, refused, taken}. Taken means that the graph passes the door."""
    what = trial["values"]
    for wanted, several in ((400, what.get("refused", [])), (200, what.get("taken", []))):
        for value in several:
            inputs = {**filled(what.get("given", {})), what["input"]: filled(value)}
            node = {"class_type": what["class"], "inputs": inputs}
            body = {"1": node, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}}
            status, text, _ = request(server, "POST", "/prompt", {"prompt": body})
            assert status == wanted, f"{what['input']} = {str(value)[:80]}: {status} {text[:400]!r}"
            if wanted == 400:
                assert what["input"] in text.decode()


def run(server: Server, trial: Trial) -> None:
    """run: a graph. ends: "success" or "error". says: words of the error. within: seconds."""
    with server.client() as client:
        prompt_id, messages = client.run(graph_of(trial["run"]), seconds=trial.get("within", 60))
        entry = client.history(prompt_id)
    assert entry["status"]["status_str"] == trial["ends"], messages[-3:]
    errors = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "execution_error"]
    expect_words(trial, errors[-1]["exception_message"] if errors else json.dumps(entry["outputs"]))


def ws(server: Server, trial: Trial) -> None:
    """ws: frames as {opcode, data, fin, rsv1, count}. close: the code it ends with; 0 for none. headers, status."""
    url = server.url.replace("http", "ws") + trial.get("path", "/ws")
    try:
        connection = websocket.create_connection(url, timeout=QUICK, header=trial.get("headers"), suppress_origin=True)
    except websocket.WebSocketBadStatusException as refused:
        expect_status(trial, refused.status_code, url)
        return
    assert "status" not in trial, "the socket was opened"
    code = 0
    try:
        for frame in trial["ws"]:
            data = text_of(frame.get("data", "")).encode("latin-1")
            for _ in range(frame.get("count", 1)):
                assert connection.sock is not None
                connection.sock.sendall(masked(frame, data))
        if trial["close"]:
            while True:
                opcode, data = connection.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    code = int.from_bytes(data[:2], "big")
                    break
    except (ConnectionError, websocket.WebSocketConnectionClosedException):
        code = -1  # closed before its word of parting was read: what was still coming met a closed door
    finally:
        connection.shutdown()
    assert code in (trial["close"], -1), code


def masked(frame: dict[str, Any], data: bytes) -> bytes:
    """A frame by RFC 6455, also one that breaks its rules. The mask is nothing, which leaves the data as they are."""
    first = frame.get("fin", 1) << 7 | frame.get("rsv1", 0) << 6 | frame["opcode"]
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([first]) + length + bytes(4) + data


def model(folder: Path, trial: Trial) -> None:
    """model: {header, length, data, zeros} or {hex}: a file to be opened as weights. name. says."""
    from diffusion.checkpoints.errors import CheckpointError
    from diffusion.checkpoints.read import open_checkpoint

    path = folder / trial.get("name", "model.safetensors")
    what = trial["model"]
    if "hex" in what:
        content = bytes.fromhex(what["hex"]) + bytes(what.get("zeros", 0))
    else:
        header = text_of(what["header"]).encode()
        content = what.get("length", len(header)).to_bytes(8, "little") + header + bytes(what.get("zeros", 0))
    path.write_bytes(content)
    began = time.monotonic()
    try:
        open_checkpoint(path)
        said = "opened"
    except CheckpointError as error:
        said = str(error)
    assert time.monotonic() - began < QUICK
    expect_words(trial, said)


def png(width: int, height: int) -> bytes:
    """A picture that claims a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def picture_bytes(what: dict[str, Any]) -> bytes:
    if "claims" in what:
        return png(*what["claims"])
    if "hex" in what:
        return bytes.fromhex(what["hex"])
    if "text" in what:
        return text_of(what["text"]).encode()
    made = Image.new(what.get("mode", "RGB"), tuple(what.get("size", (8, 8))))
    options: dict[str, Any] = {}
    if "orientation" in what:
        exif = Image.Exif()
        exif[0x0112] = what["orientation"]
        options["exif"] = exif
    if "frames" in what:
        options |= {"save_all": True, "append_images": [made] * (what["frames"] - 1)}
        made = Image.effect_noise((8, 8), 50)
    target = io.BytesIO()
    made.save(target, what["format"], **options)
    data = target.getvalue()
    return data[: len(data) * 3 // 4] if what.get("cut") else data


def picture(server: Server, trial: Trial) -> None:
    """picture: {format, size, mode, …}: uploaded as `name`, looked at, and loaded in a graph. ends, says; view:
    statuses of a preview."""
    name = trial.get("name", "picture.png")
    with server.client() as client:
        stored = client.upload(name, picture_bytes(trial["picture"]))["name"]
        query = urllib.parse.urlencode({"filename": stored, "type": "input", "preview": "webp"})
        status, text = client.request("GET", f"/view?{query}")
        assert status in trial.get("view", [200, 400]), text[:300]
        graph = {
            "1": {"class_type": "LoadImage", "inputs": {"image": stored}},
            "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        }
        prompt_id, messages = client.run(graph)
        assert client.history(prompt_id)["status"]["status_str"] == trial["ends"], messages[-3:]
    errors = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "execution_error"]
    expect_words(trial, errors[-1]["exception_message"] if errors else "")


def text(folder: Path, trial: Trial) -> None:
    """text: a prompt; reading it takes time in proportion to its length, and loses none of its words."""
    from diffusion.text.grammar import parse_weights

    prompt = text_of(trial["text"])
    began = time.process_time()
    parsed = parse_weights(prompt)
    assert time.process_time() - began < 5e-6 * len(prompt) + 0.5
    expect_words(trial, "".join(segment.text for segment in parsed.segments))


def command(folder: Path, trial: Trial) -> None:
    """command: arguments of main.py. environment. code, says."""
    arguments = [text_of(word).replace("FOLDER", str(folder)) for word in trial["command"]]
    (folder / "file").write_text("x")
    environment = {**os.environ, **trial.get("environment", {})}
    for name in trial.get("without", []):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments],
        capture_output=True,
        timeout=60,
        env=environment,
        check=False,
        cwd=folder,
    )
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == trial["code"], said[-500:]
    assert "Traceback" not in said
    expect_words(trial, said)


AGAINST_THE_SERVER: dict[str, Callable[[Server, Trial], None]] = {
    "send": send,
    "raw": raw,
    "graph": graph,
    "values": values,
    "run": run,
    "ws": ws,
    "picture": picture,
}
WITH_A_FOLDER: dict[str, Callable[[Path, Trial], None]] = {"model": model, "text": text, "command": command}
