"""Start Heddle: `python main.py`, or `python main.py run GRAPH.json`."""

from launch.main import main

if __name__ == "__main__":
    raise SystemExit(main())
