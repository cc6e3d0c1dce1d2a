"""`lodgepole verify` as the suites use it: what it finds after a crash counts as wrong.

A server that runs is asked on its operator's socket, as the command does, but without the time that
a start of the command takes; a folder that no server uses is looked through by the command itself.
"""

import json
import os
import socket
import subprocess
from pathlib import Path

from oracle import Tally

SOCKET = "operator.sock"
TIMEOUT_S = 120
SHOWN = 5


def look(data: Path, tally: Tally, where: str, *, deep: bool) -> None:
    """Asks the server that uses this folder to look for damage."""
    try:
        reply = _ask(data, {"ask": "verify", "deep": deep})
    except (OSError, ValueError) as problem:
        return tally.add("wrong", f"{where}, verify: {type(problem).__name__}: {problem}")
    if "verified" not in reply:
        return tally.add("wrong", f"{where}, verify: {json.dumps(reply)[:300]}")
    found = reply["verified"]
    for finding in found["findings"][:SHOWN]:
        text = f"{finding['whose']}, {finding['subject']}: {finding['problem']}"
        tally.add("wrong", f"{where}, verify: {text}")
    more = len(found["findings"][SHOWN:]) + found["more_findings"]
    if more:
        tally.add("wrong", f"{where}, verify: {more} more findings")
    tally.verified += 1
    tally.segments = max(tally.segments, found["segments"])


def look_at_stopped(binary: Path, data: Path, tally: Tally, where: str) -> None:
    """Runs the command on a folder that no server uses; reads everything."""
    command = [str(binary), "verify", "--deep", "--data-dir", str(data)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return tally.add("wrong", f"{where}, verify: no end within {TIMEOUT_S} s")
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines or not lines[-1].endswith("nothing is wrong"):
        said = "; ".join([*lines[:SHOWN], *done.stderr.strip().splitlines()[-2:]])
        tally.add("wrong", f"{where}, verify: code {done.returncode}, {said[:600]}")
    tally.verified += 1


def _ask(data: Path, question: dict) -> dict:
    # By way of the folder's descriptor: the path of a socket may have only some hundred bytes.
    folder = os.open(data, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(TIMEOUT_S)
            stream.connect(f"/proc/self/fd/{folder}/{SOCKET}")
            stream.sendall(json.dumps(question).encode() + b"\n")
            with stream.makefile("rb") as answers:
                return json.loads(answers.readline())
    finally:
        os.close(folder)
