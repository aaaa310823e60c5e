"""A client written with nothing but urllib and websocket-client queues a graph and gets its file."""

import json
from io import BytesIO
from typing import Any

from PIL import Image

from tests.end_to_end.client import Client, said


def picture(color: str = "red", size: tuple[int, int] = (64, 48)) -> bytes:
    data = BytesIO()
    Image.new("RGB", size, color).save(data, "PNG")
    return data.getvalue()


def scale_and_save(image: str, width: int = 32, prefix: str = "scaled") -> dict[str, Any]:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {
            "class_type": "ImageScale",
            "inputs": {
                "image": ["1", 0],
                "upscale_method": "bilinear",
                "width": width,
                "height": 16,
                "crop": "disabled",
            },
        },
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": prefix}},
    }


def test_a_graph_goes_in_and_a_file_comes_out(client: Client):
    name = client.upload("first.png", picture("red"))["name"]
    graph = scale_and_save(name, prefix="first/red")

    prompt_id, messages = client.run(graph)

    order = said(messages, "status", "progress_state", "progress")
    assert order == [
        "execution_start",
        "execution_cached",
        *("executing", "executing", "executing"),
        "executed",
        "execution_success",
        "executing",
    ]
    executing = [m["data"]["node"] for m in messages if isinstance(m, dict) and m["type"] == "executing"]
    assert executing == ["1", "2", "3", None]
    cached = next(m for m in messages if m["type"] == "execution_cached")
    assert cached["data"]["nodes"] == []

    record = client.history(prompt_id)
    assert record["status"]["status_str"] == "success"
    assert record["status"]["completed"] is True
    [image] = record["outputs"]["3"]["images"]
    assert image == {"filename": "red_00001_.png", "subfolder": "first", "type": "output"}

    saved = Image.open(BytesIO(client.view(image)))
    assert (saved.size, saved.getpixel((5, 5))) == ((32, 16), (255, 0, 0))
    assert json.loads(saved.info["prompt"])["3"]["inputs"]["filename_prefix"] == "first/red"


def test_the_same_again_is_answered_from_the_cache(client: Client):
    name = client.upload("second.png", picture("blue"))["name"]
    graph = scale_and_save(name, prefix="second")
    first, _ = client.run(graph)

    again, messages = client.run(graph)

    assert said(messages, "status", "progress_state") == [
        "execution_start",
        "execution_cached",
        "executed",
        "execution_success",
        "executing",
    ]
    cached = next(m for m in messages if m["type"] == "execution_cached")
    assert sorted(cached["data"]["nodes"]) == ["1", "2", "3"]
    assert client.history(again)["outputs"] == client.history(first)["outputs"]


def test_a_change_at_the_end_runs_the_end_alone(client: Client):
    name = client.upload("third.png", picture("green"))["name"]
    client.run(scale_and_save(name, prefix="third"))
    _, messages = client.run(scale_and_save(name, prefix="third-renamed"))
    assert [m["data"]["node"] for m in messages if isinstance(m, dict) and m["type"] == "executing"] == ["3", None]


def test_a_file_uploaded_anew_under_its_name_is_seen(client: Client):
    graph = scale_and_save("changing.png", prefix="changing")
    for color, expected in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        boundary = b"x0x"
        body = (
            b'--x0x\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n--x0x\r\n'
            b'Content-Disposition: form-data; name="image"; filename="changing.png"\r\n\r\n'
            + picture(color)
            + b"\r\n--x0x--\r\n"
        )
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
        assert client.request("POST", "/upload/image", body, headers)[0] == 200
        prompt_id, _ = client.run(graph)
        [image] = client.history(prompt_id)["outputs"]["3"]["images"]
        assert Image.open(BytesIO(client.view(image))).getpixel((1, 1)) == expected


def test_progress_and_previews_arrive_with_the_node_that_makes_them(client: Client):
    _, messages = client.run({"1": {"class_type": "Steps", "inputs": {"total": 3, "seconds": 0.02}}})
    progress = [m["data"] for m in messages if isinstance(m, dict) and m["type"] == "progress"]
    assert [(p["value"], p["max"], p["node"]) for p in progress] == [(1, 3, "1"), (2, 3, "1"), (3, 3, "1")]
    frames = [m for m in messages if isinstance(m, bytes)]
    assert frames
    assert all(f[:10] == b"\0\0\0\1\0\0\0\1\xff\xd8" for f in frames)


def test_history_is_there_when_success_is_said(client: Client):
    prompt_id = client.submit({"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}})
    client.until("execution_success", prompt_id=prompt_id)
    assert client.history(prompt_id)["status"]["completed"] is True
