"""What can be wrong with a weights file, as exceptions that name the file."""

from pathlib import Path


class CheckpointError(ValueError):
    """A weights file that cannot be used. `problem` says what was expected, what came, and what to do."""

    def __init__(self, path: str | Path, problem: str):
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{self.path.name}: {problem}")


class Truncated(CheckpointError):
    """The file ends before its own table of contents says it does; usually an interrupted download."""

    def __init__(self, path: str | Path, have: int, need: int):
        self.have, self.need = have, need
        super().__init__(path, f"truncated: have {have:,} bytes, need {need:,}; download the file again")
