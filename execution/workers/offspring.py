"""What systems differ in when a process has children: how they are started apart, ended with all of theirs, and how
they notice that their parent is gone."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)

HINTS = {
    "SIGKILL": "perhaps by the system, for want of memory",
    "SIGSEGV": "a fault in native code",
    "SIGBUS": "a fault in native code, or a mapped file that was cut short",
    "SIGABRT": "native code gave up",
    "SIGILL": "an instruction this processor does not have",
    "SIGFPE": "an arithmetic fault in native code",
}


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: exactly one of the two is set."""

    code: int | None
    signal: str | None

    def __str__(self) -> str:
        if self.signal is None:
            large = self.code is not None and self.code > 255  # Windows has faults as codes; they are known in hex
            return f"ended with exit code {self.code:#x}" if large else f"ended with exit code {self.code}"
        hint = HINTS.get(self.signal)
        return f"was killed by {self.signal}" + (f" ({hint})" if hint else "")


def exit_of(returncode: int) -> Exit:
    """From a return code as `subprocess` has it: negative for a signal."""
    if returncode >= 0:
        return Exit(returncode, None)
    try:
        return Exit(None, signal.Signals(-returncode).name)
    except ValueError:
        return Exit(None, f"signal {-returncode}")


def apart() -> dict[str, Any]:
    """Options for starting a child in a group of its own: Ctrl-C in our terminal is our affair, not its."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def kill_with_children(pid: int) -> None:
    """End a child that was started `apart`, and whatever it has started, at once."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def die_with_parent() -> None:
    """In a child: ask the system to end us when our parent ends, even while native code holds the interpreter.
    Linux only; elsewhere the end of our input has to do."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_self_with_children() -> None:
    """In a child that was started `apart`: end at once, with whatever we have started."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)
