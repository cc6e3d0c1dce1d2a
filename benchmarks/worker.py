"""One peer on one set, in its own environment and process: `python -m benchmarks.worker JOB.json`.

The orchestrator starts it, so that memory and failures of one peer stay apart from the others.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

from benchmarks.dataset import Dataset
from benchmarks.machine import signal_stop
from benchmarks.measure import Plan, measure
from benchmarks.peer import Place
from benchmarks.progress import Progress


def main(path: Path) -> int:
    """Runs the job and writes its result beside it. Exit code 1 when the peer failed."""
    job = json.loads(path.read_text())
    folder = Path(job["folder"])
    folder.mkdir(parents=True)
    data = Dataset(Path(job["data"]))
    data.queries  # noqa: B018 - read now, so that it is not taken for the peer's memory
    plan = Plan(**job["plan"])
    module = importlib.import_module(f"benchmarks.peers.{job['module']}")

    def say(text: str) -> None:
        print(f"    {job['peer']}: {text}", file=sys.stderr, flush=True)

    peer = None
    try:
        peer = module.Measured(data, Place(folder, plan.build_threads,
                                           Progress(plan.ingest_limit_s)))
        result = measure(peer, data, plan, say)
        code = 0
    except Exception as problem:
        traceback.print_exc()
        result = {"failed": f"{type(problem).__name__}: {problem}"}
        code = 1
    finally:
        if peer is not None:
            peer.close()
    Path(job["result"]).write_text(json.dumps(result, indent=1))
    return code


if __name__ == "__main__":
    # The orchestrator ends us with SIGTERM; then the server that we started must end too.
    signal_stop()
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    # Without waiting for threads that a library left behind.
    os._exit(code)
