"""A bar in the terminal that follows a job."""

from typing import NoReturn

from tqdm import tqdm

from execution.events import NodeFinished, NodeStarted, Progress
from execution.job import Job


class Quiet:
    """Shows nothing: output goes to a file or to another program."""

    def take(self, event: object) -> None: ...

    def close(self) -> None: ...


class Bar:
    """Nodes done of all, with the name and the steps of the one at work."""

    def __init__(self, job: Job, number: int, total: int):
        self._job = job
        name = "running" if total == 1 else f"graph {number + 1} of {total}"
        self._bar: tqdm[NoReturn] = tqdm(total=len(job.graph), desc=name, unit="nodes", leave=False)

    def take(self, event: object) -> None:
        match event:
            case NodeStarted(node=node):
                kind = self._job.graph.get(node.real, {}).get("class_type", "")
                self._bar.set_postfix_str(kind)
            case Progress(node=node, value=value, total=total):
                kind = self._job.graph.get(node.real, {}).get("class_type", "")
                self._bar.set_postfix_str(f"{kind} {value:g}/{total:g}")
            case NodeFinished():
                self._bar.update()
            case _:
                pass

    def close(self) -> None:
        self._bar.close()
