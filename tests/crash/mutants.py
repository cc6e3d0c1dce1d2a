#!/usr/bin/env python3
"""The crash suites can fail: servers and machines that are broken on purpose must be caught.

Goal: no promise is proved by a suite that would pass without it. Method: the suites of this folder,
as they are, on the real binary with one thing broken: syncs that do nothing or come too late, by a
library that is loaded before the system's (mutants/no_sync.c) and by the server's own hidden flag;
a kill that does nothing, or that is a polite request to stop; a power cut that cuts nothing; a
backup of another moment than the one it was asked for; bytes that are changed behind the server's
back. A mutant that is not noticed within some rounds is a failure of the suite.

What lies deeper (a collector that ignores pins, a restore that forgets deletions, a read before
visibility) is broken inside the process, by the crate `sim`.

    mutants.py                  every mutant
    mutants.py --only NAME      one of them
    mutants.py --seed S         the same load and the same moments (the threads still race)

Ends with `N passed, N failed[, N skipped]`: one test for each mutant. Those that need root, loop
devices or a C compiler are skipped without.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import backups
import closing
import kill9
import power_cut
import verify
from client import Refused, Unanswered
from disk import Disk, Unavailable, probe
from load import Keeper, Load
from oracle import Backup, Tally
from server import Server, ServerGone, end_cleanly_on_sigterm, find_binary

NO_SYNC = Path(__file__).parent / "mutants" / "no_sync.c"
# A mutant that survives so many cuts shows that the harness sees nothing.
CUTS_MAX = 20
KILLS, BACKUPS = 2, 5
# Between the moment of a backup and the one that it should be of.
SKEW_S = 0.05
FILL_S = 0.5


def main() -> int:
    parser = closing.options(__doc__, "cuts", CUTS_MAX, "cuts after which a mutant has survived")
    parser.add_argument("--only", help="one mutant")
    options = parser.parse_args()
    end_cleanly_on_sigterm()
    print(f"mutants: seed {options.seed}", flush=True)
    passed, began, left_out = 0, time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="lodgepole-mutants-") as folder:
        bench = Bench(Path(folder), find_binary(options.binary), options.seed, options.cuts)
        chosen = {name: test for name, test in MUTANTS.items() if options.only in (None, name)}
        for name, test in chosen.items():
            try:
                passed += bench.catches(name, test)
            except Unavailable as problem:
                left_out.append(f"{name}: {problem}")
    failed = len(chosen) - len(left_out) - passed
    print(f"mutants={len(chosen) - len(left_out)} caught={passed} "
          f"seconds={time.monotonic() - began:.0f} seed={options.seed}")
    if left_out:
        print(f"SKIPPED: {'; '.join(left_out)}")
    print(f"{passed} passed, {failed} failed" + (f", {len(left_out)} skipped" if left_out else ""))
    return 1 if failed or not chosen else 0


class Bench:
    """What every mutant is run with."""

    def __init__(self, home: Path, binary: Path, seed: int, cuts_max: int):
        self.home, self.binary, self.seed, self.cuts_max = home, binary, seed, cuts_max
        self._cuts_work: Unavailable | bool | None = None
        self._library: Path | None = None

    def catches(self, name: str, test: "Test") -> bool:
        """Runs one mutant and says how that went."""
        began = time.monotonic()
        home = self.home / name
        home.mkdir()
        try:
            caught, seen = test(self, home)
        except (ServerGone, Refused, Unanswered, OSError) as problem:
            caught, seen = False, f"{type(problem).__name__}: {problem}"
        seen = " ".join(seen.split())[:300]
        print(f"mutant {name}: {'caught' if caught else 'NOT CAUGHT'} in "
              f"{time.monotonic() - began:.1f} s; {seen}", flush=True)
        return caught

    def needs_cuts(self) -> None:
        """Raises `Unavailable` where the power cannot be cut."""
        if self._cuts_work is None:
            try:
                probe(self.home)
                self._cuts_work = True
            except Unavailable as problem:
                self._cuts_work = problem
        if isinstance(self._cuts_work, Unavailable):
            raise self._cuts_work

    def library(self) -> Path:
        """The library with the untrue syncs, compiled."""
        if self._library is None:
            compiler = shutil.which("cc")
            if compiler is None:
                raise Unavailable("no C compiler")
            made = self.home / "no_sync.so"
            command = [compiler, "-shared", "-fPIC", "-o", made, NO_SYNC, "-ldl", "-lpthread"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise Unavailable(f"{NO_SYNC.name} does not compile: {done.stderr[:200]}")
            self._library = made
        return self._library


class CutRun(power_cut.Run):
    """Cuts until something is missing. In a mutant a request under way would sync what the one
    before left unsynced, and hide it: so every cut comes after a pause."""

    def __init__(self, disk: Disk, server: Server, seed: str, tally: Tally):
        super().__init__(disk, server, seed, tally)
        self.quiet_share, self.starts_cut = 1.0, 0.0
        # Files of the data folder that the last cut took away or made shorter.
        self.files_damaged = 0

    def cut(self) -> None:
        before = sizes(self.server.data)
        super().cut()
        after = sizes(self.server.data)
        self.files_damaged = sum(after.get(file, -1) < size for file, size in before.items())

    def is_caught(self) -> bool:
        """Whether a loss was seen. A server that does not start has lost everything, if it is for
        files that the cut took away; for any other reason it proves nothing."""
        return (self.tally.lost + self.tally.torn > 0
                or (self.damage != "" and self.files_damaged > 0))


def sizes(folder: Path) -> dict[Path, int]:
    """The length of every file that has its final name."""
    files = (file for file in folder.rglob("*") if ".staging" not in file.parts)
    return {file: file.stat().st_size for file in files if file.is_file()}


# Runs a mutant in a folder: whether it was caught, and by what.
Test = Callable[[Bench, Path], tuple[bool, str]]


def by_library(mode: str) -> Test:
    """Syncs that are not true, in a binary that knows nothing of it."""
    def test(bench: Bench, home: Path) -> tuple[bool, str]:
        bench.needs_cuts()
        lies = {"LD_PRELOAD": str(bench.library()), "LODGEPOLE_NO_SYNC": mode}
        return cut_until_caught(bench, home, mode, environment=lies)
    return test


def by_flag(mode: str) -> Test:
    """Syncs that the server leaves out when told so."""
    def test(bench: Bench, home: Path) -> tuple[bool, str]:
        bench.needs_cuts()
        return cut_until_caught(bench, home, mode, options=("--sync-mode", mode))
    return test


def cut_until_caught(bench: Bench, home: Path, mode: str, **given) -> tuple[bool, str]:
    """The power-cut suite on a server that is started with these options or this environment."""
    tally = Tally(quiet=True)
    with Disk(home) as disk, \
            Server(bench.binary, disk.folder / "data", home / "log", **given) as server:
        run = CutRun(disk, server, f"{bench.seed}/{mode}", tally)
        for _ in run.cuts(bench.cuts_max):
            if run.is_caught():
                break
        server.kill()
    seen = (tally.notes or [run.damage or "nothing"])[0]
    return run.is_caught(), (f"cuts={run.done} acked={run.acknowledged} lost={tally.lost} "
                             f"torn={tally.torn} wrong={tally.wrong} "
                             f"files_damaged={run.files_damaged} first: {seen}")


class Unharmed(Server):
    """Its kill does nothing."""

    def kill(self) -> None:
        pass

    def __exit__(self, *_) -> None:
        super().kill()


class Stopped(Server):
    """Its kill is a clean stop, after which everything is there whatever was promised."""

    def kill(self) -> None:
        if self.process is not None:
            self.terminate()
            self.process.wait()


def without_kill(kind: type[Server]) -> Test:
    """The suite of kills must say that it tested nothing."""
    def test(bench: Bench, home: Path) -> tuple[bool, str]:
        tally = Tally(quiet=True)
        with kind(bench.binary, home / "data", home / "log") as server:
            _, failed = kill9.Run(server, bench.seed, tally).kills(KILLS)
        return failed > 0 and "nothing was tested" in " ".join(tally.notes), str(tally.notes[:1])
    return test


class Uncut(Disk):
    """Its cut takes nothing away."""

    def cut(self) -> None:
        self._unmount()
        self._mount()


def without_cut(bench: Bench, home: Path) -> tuple[bool, str]:
    """The suite of cuts must say that it tested nothing."""
    bench.needs_cuts()
    with Uncut(home) as disk, \
            Server(bench.binary, disk.folder / "data", home / "log") as server:
        run = power_cut.Run(disk, server, f"{bench.seed}/uncut", Tally(quiet=True))
        results = list(run.cuts(1))
        server.kill()
    return not all(results) and "nothing was tested" in run.damage, run.damage or "nothing"


class Earlier(Keeper):
    """Its backups were asked for a while ago: writes acknowledged since are missing."""

    def back_up_of(self, source) -> Backup:
        made = self.control.create_backup(source.name, self.fresh_name("early"))
        time.sleep(SKEW_S)
        with mock.patch.object(self.control, "create_backup", return_value=made):
            return super().back_up_of(source)


class Later(Keeper):
    """Its backups are taken a while after their answer: they hold writes sent since."""

    def back_up_of(self, source) -> Backup:
        with mock.patch.object(self.control, "create_backup", return_value={"backup_id": "none"}):
            backup = super().back_up_of(source)
        time.sleep(SKEW_S)
        made = self.control.create_backup(source.name, self.fresh_name("late"))
        del self.oracle.backups[backup.backup_id]
        backup.backup_id = made["backup_id"]
        self.oracle.backups[backup.backup_id] = backup
        return backup


def of_another_moment(kind: type[Keeper]) -> Test:
    """The suite of backups must say that they are not exact."""
    def test(bench: Bench, home: Path) -> tuple[bool, str]:
        tally = Tally(quiet=True)
        with Server(bench.binary, home / "data", home / "log") as server:
            run = backups.Run(server, bench.seed, tally)
            run.keeper_kind = kind
            for is_good in run.all(BACKUPS, 0):
                if not is_good:
                    break
        return tally.total > 0, (f"backups={run.taken} lost={tally.lost} torn={tally.torn} "
                                 f"wrong={tally.wrong} first: {tally.notes[:1]}")
    return test


def changed_bytes(bench: Bench, home: Path) -> tuple[bool, str]:
    """`verify` is asked in a way that lets it find damage."""
    tally, found = Tally(quiet=True), Tally(quiet=True)
    with Server(bench.binary, home / "data", home / "log") as server:
        server.start()
        server.wait_ready()
        load = Load(server.port, kill9.first_index(server, kill9.WRITERS), tally, str(bench.seed))
        load.start()
        time.sleep(FILL_S)
        load.dying.set()
        server.crash()
        load.finish()
        verify.look_at_stopped(bench.binary, server.data, found, "unharmed")
        if found.total or tally.total:
            return False, f"before the change: {found.notes + tally.notes}"
        # Of all tables: any one of them may be a leftover of a merge, which nobody reads again.
        tables = [file for file, size in sizes(server.data / "ix").items()
                  if size and file.parent.name == "compacted"]
        for table in tables:
            damage(table)
        verify.look_at_stopped(bench.binary, server.data, found, "damaged")
    return found.wrong > 0, (found.notes or [f"nothing, after changes in {len(tables)} files"])[0]


def damage(file: Path) -> None:
    """Turns around one byte in the middle."""
    with open(file, "r+b") as bytes_:
        bytes_.seek(os.path.getsize(file) // 2)
        old = bytes_.read(1)
        bytes_.seek(-1, os.SEEK_CUR)
        bytes_.write(bytes([old[0] ^ 0xFF]))


MUTANTS: dict[str, Test] = {
    "no-sync-of-files": by_library("files"),
    "no-sync-of-folders": by_library("folders"),
    "sync-after-answer": by_library("late"),
    "flag-skip-file": by_flag("skip-file"),
    "flag-skip-folder": by_flag("skip-folder"),
    "kill-does-nothing": without_kill(Unharmed),
    "kill-is-a-clean-stop": without_kill(Stopped),
    "cut-does-nothing": without_cut,
    "backup-too-early": of_another_moment(Earlier),
    "backup-too-late": of_another_moment(Later),
    "changed-bytes": changed_bytes,
}


if __name__ == "__main__":
    sys.exit(main())
