"""Places that fail: small disks and read-only directories."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs that only processes started with `prefix` see; it disappears with its holder.

    Attributes:
      path: its path for those processes.
      seen: path of the same files for this process.
      prefix: first words of a command line that sees it.
    """

    def __init__(self, path: Path, holder: subprocess.Popen[str], prefix: tuple[str, ...]) -> None:
        self.path, self.prefix = path, prefix
        self.seen = Path(f"/proc/{holder.pid}/root{path}")

    def resize(self, kilobytes: int) -> None:
        """Makes the disk larger, or smaller down to the space in use."""
        self._run("mount", "-o", f"remount,size={kilobytes}k", str(self.path))

    def make_read_only(self) -> None:
        self._run("mount", "-o", "remount,ro", str(self.path))

    def used(self) -> int:
        """Kilobytes in use."""
        figures = os.statvfs(self.seen)
        return (figures.f_blocks - figures.f_bfree) * figures.f_frsize // 1024

    def _run(self, *command: str) -> None:
        subprocess.run([*self.prefix, *command], check=True)


@contextlib.contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Mounts a disk in a separate namespace; skips the test if that is impossible."""
    path.mkdir(exist_ok=True)
    script = f"mount -t tmpfs -o size={kilobytes}k none '{path}' && echo mounted && exec sleep 600"
    reasons = []
    for space, enter in (("-rm", ("--user", "--preserve-credentials")), ("-m", ())):
        holder = subprocess.Popen(
            ["unshare", space, "sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout is not None and holder.stderr is not None
        with holder:
            if holder.stdout.readline() != "mounted\n":
                reasons.append(holder.stderr.read().strip())
                continue
            prefix = ("nsenter", "--target", str(holder.pid), "--mount", *enter)
            try:
                yield SmallDisk(path, holder, prefix)
            finally:
                holder.kill()
            return
    pytest.skip(f"no disk can be mounted here: {'; '.join(reasons)}")


def without_rights() -> tuple[str, ...]:
    """First words of a command line that obeys permissions, which root does not by default."""
    if os.geteuid() != 0:
        return ()
    words = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"root ignores permissions and cannot drop rights: {tried.stderr.strip()}")
    return words


@contextlib.contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Makes these folders and everything in them read-only meanwhile."""
    below = [path for folder in folders for path in (folder, *folder.rglob("*"))]
    modes = {path: path.stat().st_mode for path in below}
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
