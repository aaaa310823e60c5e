"""The program's entry: which command was asked for, and its exit code."""

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command the arguments name. Returns the exit code: 0 done, 1 failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="main.py", description="Node-based workflows for diffusion images.")
    parser.parse_args(sys.argv[1:] if arguments is None else list(arguments))
    parser.error("no command is available yet")
