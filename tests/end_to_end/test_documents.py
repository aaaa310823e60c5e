"""The script in the README runs against a real server as it stands, but for the port."""

import re
import subprocess
import sys
from pathlib import Path

from tests.end_to_end.client import Client
from tests.end_to_end.conftest import Server

ROOT = Path(__file__).parents[2]


def test_the_script_in_the_readme_queues_its_graph(server: Server, client: Client):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [script] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = script.replace("http://127.0.0.1:8188", server.url)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    prompt_id = done.stdout.strip()
    client.run({"1": {"class_type": "Steps", "inputs": {"total": 1, "seconds": 0.0}}})
    [image] = client.history(prompt_id)["outputs"]["3"]["images"]
    assert image["filename"].startswith("hello_")
