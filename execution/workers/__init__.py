"""Where a graph runs: one protocol, carried by a thread, a process or another machine."""
