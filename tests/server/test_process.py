"""What the server costs and what it never loads."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MEASURE = """
import sys
import server.app, server.hub, server.services
import execution.dispatch, execution.queue, execution.history
import storage.database, storage.jobs, storage.userdata
heavy = [name for name in ("torch", "numpy", "transformers", "diffusion", "nodes", "psutil") if name in sys.modules]
with open("/proc/self/status") as status:
    resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
print(",".join(heavy), resident)
"""


def test_the_server_never_loads_what_only_workers_need_and_stays_small():
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    heavy, _, resident = done.stdout.rpartition(" ")
    assert heavy.strip() == ""
    assert int(resident) < 100 * 1024  # KiB, before the first request
