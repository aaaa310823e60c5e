"""The order of the whole run, in one process or in several."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one running program stay together, and those with a browser come last.

    The browser's driver keeps an event loop in the main thread for as long as it lives, and asyncio refuses to run
    another one beside it.
    """
    for item in items:
        for group in ("end_to_end", "bad_inputs", "faults", "fuzz", "browser"):
            if f"tests/{group}/" in item.path.as_posix():
                item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: "tests/browser/" in item.path.as_posix())
