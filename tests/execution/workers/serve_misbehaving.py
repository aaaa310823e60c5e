"""A worker process for tests: `python -m tests.execution.workers.serve_misbehaving [fault]`."""

import sys

from execution.workers.child import serve
from tests.execution.workers.engines import Misbehaving


def build() -> Misbehaving:
    print("noise while starting")
    match sys.argv[1:]:
        case ["cannot-start"]:
            raise ImportError("no torch here")
        case ["die-idle"]:
            import os
            import threading

            threading.Timer(0, os._exit, (9,)).start()
        case _:
            pass
    return Misbehaving()


if __name__ == "__main__":
    serve(build)
