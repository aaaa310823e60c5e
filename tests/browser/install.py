"""Provide a browser for the end-to-end tests, or say plainly that there is none. Called by `make browser`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> str | None:
    """The path of a Chromium or Chrome: named by HEDDLE_BROWSER, of this machine, or the one Playwright brought."""
    named = os.environ.get("HEDDLE_BROWSER")
    if named:
        return named
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    if MAC.exists():
        return str(MAC)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Install one: Debian's package where we may, else Playwright's own download."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        done = subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=False)
        if done.returncode == 0:
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)


def main() -> int:
    if not find_browser():
        install()
    browser = find_browser()
    if browser:
        print(f"Browser for the end-to-end tests: {browser}")
        return 0
    print(
        "No browser was found and none could be installed: the tests marked 'browser' will fail.\n"
        "Install Chromium or Chrome, or name one with HEDDLE_BROWSER=/path/to/chromium,\n"
        "or leave these tests out with: pytest -m 'not browser'",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
