"""Cases of bad input that are more than data: many at once, and things that are on the disk already."""

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from tests.bad_inputs.trials import request
from tests.end_to_end.conftest import Server


def test_a_hundred_uploads_of_one_name_are_a_hundred_files(server: Server):
    def upload(number: int) -> str:
        body = '--b\r\nContent-Disposition: form-data; name="image"; filename="same.png"\r\n\r\n'
        head = {"Content-Type": "multipart/form-data; boundary=b"}
        whole = f"{body}{number}\r\n--b--\r\n".encode()
        status, answer, _ = request(server, "POST", "/upload/image", whole, head)
        assert status == 200, answer
        return json.loads(answer)["name"]

    with ThreadPoolExecutor(20) as pool:
        names = set(pool.map(upload, range(100)))
    assert len(names) == 100
    contents = {(server.base / "input" / name).read_text() for name in names}
    assert contents == {str(number) for number in range(100)}


def test_a_thousand_cancels_are_one(server: Server):
    with server.client() as client:
        prompt_id = client.submit({"1": {"class_type": "Misbehave", "inputs": {"how": "sleep", "number": 1}}})
        client.until("executing", node="1")

        def cancel(_: int) -> int:
            return request(server, "POST", "/interrupt", {"prompt_id": prompt_id})[0]

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(cancel, range(1000))) == {200}
        ended = [m["type"] for m in client.until("executing", node=None, prompt_id=prompt_id) if isinstance(m, dict)]
        assert ended.count("execution_interrupted") == 1
        assert len(client.get(f"/history/{prompt_id}")) == 1


def test_pipes_and_sockets_are_no_files(server: Server):
    os.mkfifo(server.base / "output" / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(server.base / "output")  # names of sockets are short
        try:
            listening.bind("socket.png")
        finally:
            os.chdir(here)
        for name in ("pipe.png", "socket.png"):
            assert request(server, "GET", f"/view?filename={name}")[0] == 404
            assert request(server, "GET", f"/view?filename={name}&preview=webp")[0] == 404


def test_a_regular_expression_without_end_is_interrupted(server: Server):
    inputs = {"string": "a" * 60 + "!", "regex_pattern": "(a+)+$", "case_insensitive": True, "multiline": False}
    graph = {
        "1": {"class_type": "RegexMatch", "inputs": {**inputs, "dotall": False}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    with server.client() as client:
        prompt_id = client.submit(graph)
        client.until("executing", node="1")
        began = time.monotonic()
        client.request("POST", "/interrupt", {"prompt_id": prompt_id})
        client.until("executing", node=None, prompt_id=prompt_id)
        assert time.monotonic() - began < 10
