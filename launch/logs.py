"""Where the log goes: one line a message on standard error, the levels one asked for."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure(level: str, *others: logging.Handler) -> None:
    """Send the log of the whole process to standard error and to others. level: a name that `logging` knows."""
    handlers = [logging.StreamHandler(sys.stderr), *others]
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT, datefmt="%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    # One line for every request is noise beside our own.
    logging.getLogger("aiohttp.access").setLevel(max(logging.WARNING, root.level))
