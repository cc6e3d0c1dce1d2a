"""A small disk whose power can be cut: an ext4 file system on a loop device.

The cut is the kernel's own: EXT4_IOC_SHUTDOWN without flushing the log drops every page that was
not synced, and mounting again replays the journal, as after a real power cut. It must come after
the server is dead and reaped: a sync that is under way during the shutdown still returns success,
which would look like a loss. The journal commits by itself only after `commit=` seconds, which is
set so high that nothing becomes durable unless somebody syncs.

Nothing can be left behind, also when we are killed: the mount lives in a mount namespace of our
own, the loop device clears itself when its last user is gone, and the image is removed from its
folder as soon as it is open.
"""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

IMAGE_BYTES = 512 << 20
OPTIONS = "commit=1000,noauto_da_alloc"

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_LOOP_SET_FD, _LOOP_CLR_FD, _LOOP_SET_STATUS64 = 0x4C00, 0x4C01, 0x4C04
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
_LO_FLAGS_AT, _LOOP_INFO64_BYTES = 52, 232
_EXT4_IOC_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
# After a failed attempt the loop device is tried again: another program may have taken it.
_LOOP_TRIES = 20


class Unavailable(Exception):
    """This machine does not let us do it. The text says why."""


class Disk:
    """The disk, mounted at `folder` while it is open."""

    def __init__(self, parent: Path):
        self.folder = parent / "disk"
        self._image = self._loop = -1
        self._device = ""
        self._mounted = False

    def __enter__(self) -> "Disk":
        try:
            self.folder.mkdir()
            self._make_device()
            # Many inodes: every log object is a file.
            _command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", "-N", "100000", self._device)
            self._mount()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def cut(self) -> None:
        """Cuts the power and switches it on again. No process may have a file open there."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)
        self._unmount()
        self._mount()

    def close(self) -> None:
        """Takes everything down. May be called twice."""
        if self._mounted:
            try:
                self._unmount()
            except Unavailable:
                subprocess.run(["umount", "--lazy", str(self.folder)], stderr=subprocess.DEVNULL)
                self._mounted = False
        for file in (self._loop, self._image):
            if file >= 0:
                os.close(file)
        self._loop = self._image = -1

    def _make_device(self) -> None:
        with tempfile.TemporaryFile(dir=self.folder.parent) as image:
            image.truncate(IMAGE_BYTES)
            self._image = os.dup(image.fileno())
        control = os.open("/dev/loop-control", os.O_RDWR)
        try:
            for _ in range(_LOOP_TRIES):
                self._device = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
                loop = os.open(self._device, os.O_RDWR)
                try:
                    fcntl.ioctl(loop, _LOOP_SET_FD, self._image)
                    break
                except OSError:
                    os.close(loop)
            else:
                raise Unavailable("no free loop device")
        finally:
            os.close(control)
        self._loop = loop
        info = bytearray(_LOOP_INFO64_BYTES)
        struct.pack_into("I", info, _LO_FLAGS_AT, _LO_FLAGS_AUTOCLEAR)
        try:
            fcntl.ioctl(loop, _LOOP_SET_STATUS64, bytes(info))
        except OSError:
            fcntl.ioctl(loop, _LOOP_CLR_FD)
            raise

    def _mount(self) -> None:
        _command("mount", "-t", "ext4", "-o", OPTIONS, self._device, str(self.folder))
        self._mounted = True

    def _unmount(self) -> None:
        _command("umount", str(self.folder))
        self._mounted = False


def enter_private_mounts() -> None:
    """From now on, mounts of this process and its children are seen by nobody else."""
    if os.geteuid() != 0:
        raise Unavailable("not root")
    for tool in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(tool) is None:
            raise Unavailable(f"no {tool} on this machine")
    if not Path("/dev/loop-control").exists():
        raise Unavailable("no loop devices")
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        raise Unavailable(f"no mount namespaces: {os.strerror(ctypes.get_errno())}")
    if _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        raise Unavailable(f"mounts cannot be private: {os.strerror(ctypes.get_errno())}")


def probe(parent: Path) -> None:
    """Finds out whether all of this works here, by doing it once."""
    enter_private_mounts()
    try:
        with Disk(parent) as disk:
            (disk.folder / "file").write_text("never synced")
            disk.cut()
            if (disk.folder / "file").exists():
                raise Unavailable("what was not synced survives a cut")
        disk.folder.rmdir()
    except OSError as problem:
        raise Unavailable(f"{problem}") from None


def _command(*words: str) -> None:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(words)}: {done.stderr.strip()}")
