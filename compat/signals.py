"""Two things a node may say instead of a value; apart, so that reading outcomes imports no promised name."""


class ExecutionBlocker:
    """Stands on an output: whoever would consume it is not run. A message is told once; None is silent."""

    def __init__(self, message: str | None = None):
        self.message = message


class InterruptProcessingException(Exception):
    """Raised by a pack: the user wants this job to end."""
