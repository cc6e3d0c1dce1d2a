"""Builds a peer, sweeps its search knob, and measures the cheapest settings that find enough.

Everything here is the same for every peer. Times of servers are those of clients in processes of
their own, one connection each; `server_us` is the server's processor time per query.
"""

import multiprocessing
import threading
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.asked import ASKED
from benchmarks.dataset import FILTERS, Dataset, Filter
from benchmarks.peer import NativePeer, NotPossible, Peer, Setting
from benchmarks.processes import memory_bytes, processor_s
from benchmarks.progress import Stopped

TARGETS = (0.95, 0.99)
# A sweep goes on a little beyond the last target, as the cheapest setting may come late.
ENOUGH = 0.992
# Settings of an ordered sweep that may take long without reaching a target.
SLOW_US = 60_000
QUICK_PASS_S = 0.25
SETTLE_TIMEOUT_S = 60
# A slow setting is judged by fewer queries, but not by fewer than these.
SWEEP_QUERIES_MIN = 50


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    threads: tuple[int, ...]
    seconds: float
    filters: tuple[str, ...]
    filter_threads: tuple[int, ...]
    backup: bool
    build_threads: int
    sweep_queries: int
    sweep_s: float
    # A server's load is stopped after so long.
    ingest_limit_s: float | None = None
    # Nothing after the load.
    only_ingest: bool = False
    # Searches again inside a memory limit: so much of the size of the vectors.
    memory_limit_share: float | None = None


@dataclass(frozen=True)
class Run:
    """What one client saw. Times in nanoseconds of a clock that all processes share."""

    latencies: np.ndarray
    started: int
    ended: int
    processor_s: float


def measure(peer: Peer, data: Dataset, plan: Plan, say) -> dict:
    """All figures of one peer on one set."""
    result = {"rows": data.shape.rows, "dimension": data.shape.dimension}
    result["build"] = build(peer, data, say)
    if "stopped" in result["build"]:
        return result
    # A program that also reads the set says itself what building took.
    if hasattr(peer, "build_figures"):
        result["build"].update(peer.build_figures())
    if plan.only_ingest:
        return result
    result["sweep"] = sweep(peer, data, None, plan)
    say(f"{len(result['sweep'])} settings, best recall "
        f"{max(row['recall'] for row in result['sweep']):.4f}")
    result["at"] = [at_target(peer, data, None, result["sweep"], target, plan)
                    for target in TARGETS]
    if peer.default_setting is not None:
        result["default"] = at_setting(peer, data, peer.default_setting, plan)
        result["default_recall"] = default_recall(peer, data, say)
    result["memory_used"] = memory_bytes(peer.processes(), peer.is_server)
    if plan.filters:
        result["filtered"] = filtered(peer, data, plan, say)
    if plan.backup:
        result["backup"] = backup(peer, data, say)
    # The last: the server is another one after it.
    if plan.memory_limit_share is not None and hasattr(peer, "limit_memory"):
        result["limited"] = limited(peer, data, result, plan, say)
    return result


def build(peer: Peer, data: Dataset, say) -> dict:
    """Loads all rows, then waits until they are indexed; says `stopped` when time was over."""
    before = memory_bytes(peer.processes(), peer.is_server)
    used, own = _used(peer), time.process_time()
    progress, queryable = peer.place.progress, None
    progress.begin(data.shape.rows)
    started = time.perf_counter()
    try:
        peer.ingest()
        queryable = time.perf_counter() - started
        peer.index()
    except (Stopped, TimeoutError):
        if not progress.is_over():
            raise
        stopped = progress.figures()
        say(f"stopped after {stopped['after_s']:.0f} s: {stopped['step']}: {stopped['rows']:,} of "
            f"{stopped['of']:,}")
        found = {"stopped": stopped, "cpu_s": _used(peer) - used}
        peer.abandon()
        return found if queryable is None else {**found, "queryable_s": queryable}
    indexed = time.perf_counter() - started
    spent = _used(peer) - used
    if peer.is_server:
        settle(peer, say)
    after = memory_bytes(peer.processes(), peer.is_server)
    found = {"queryable_s": queryable, "indexed_s": indexed, "cpu_s": spent,
             "memory": {name: after[name] - before[name] for name in after},
             "memory_all": after, "disk_bytes": peer.disk_bytes()}
    if peer.is_server:
        found["client_cpu_s"] = time.process_time() - own
    say(f"indexed in {indexed:.1f} s, {found['cpu_s']:.1f} s of processor time")
    return found


def settle(peer: Peer, say) -> None:
    """Waits until a server has come to rest after the load: what it tidies up is no query."""
    started, quiet_s = time.monotonic(), 0
    while time.monotonic() - started < SETTLE_TIMEOUT_S:
        used = _used(peer)
        time.sleep(1)
        quiet_s = quiet_s + 1 if _used(peer) - used < 0.1 else 0
        if quiet_s >= peer.rest_s:
            return
    say(f"still busy after {SETTLE_TIMEOUT_S} s")


def sweep(peer: Peer, data: Dataset, chosen: Filter | None, plan: Plan) -> list[dict]:
    """Recall and time for each setting, one client."""
    queries = data.queries_for(chosen)[:plan.sweep_queries]
    found, native = [], isinstance(peer, NativePeer)
    for setting in peer.settings(chosen):
        peer.prepare(setting)
        if native:
            ids, seconds, used = peer.answers(setting, chosen, len(queries))
        else:
            ids, seconds, used = _answers(peer, setting, chosen, queries, plan.sweep_s)
        if seconds < QUICK_PASS_S:
            # A short pass is easily disturbed: the better of two.
            again = (peer.answers(setting, chosen, len(queries)) if native else
                     _answers(peer, setting, chosen, queries, plan.sweep_s))
            seconds, used = min(seconds, again[1]), min(used, again[2])
        found.append({"setting": setting, "us": seconds / len(ids) * 1e6,
                      "cpu_us": used / len(ids) * 1e6, "queries": len(ids),
                      "recall": data.recall(ids, chosen)})
        if peer.is_ordered and (found[-1]["recall"] >= ENOUGH or found[-1]["us"] > SLOW_US):
            break
    return found


def _answers(peer: Peer, setting: Setting, chosen: Filter | None, queries,
             limit_s: float) -> tuple:
    """Ids, seconds, processor seconds; not of all queries when the peer is slow."""
    client = peer.client(setting, chosen)
    try:
        requests = [client.request(query) for query in queries]
        for request in requests[:10]:
            client.ask(request)
        answers, used, started = [], _used(peer), time.perf_counter()
        for request in requests:
            answers.append(client.ask(request))
            if (len(answers) >= SWEEP_QUERIES_MIN
                    and time.perf_counter() > started + limit_s):
                break
        seconds, used = time.perf_counter() - started, _used(peer) - used
        return [client.ids(answer) for answer in answers], seconds, used
    finally:
        client.close()


def cheapest(rows: list[dict], target: float) -> dict | None:
    """The fastest setting that finds enough."""
    return min((row for row in rows if row["recall"] >= target), key=lambda row: row["us"],
               default=None)


def at_target(peer: Peer, data: Dataset, chosen: Filter | None, rows: list[dict], target: float,
              plan: Plan) -> dict:
    """Measures the cheapest setting that reaches the target; none when there is none."""
    row = cheapest(rows, target)
    if row is None:
        return {"target": target, "reached": False,
                "recall": max((row["recall"] for row in rows), default=0.0)}
    setting = row["setting"]
    peer.prepare(setting)
    threads_of = plan.threads if chosen is None else plan.filter_threads
    warm_up(peer, data, chosen, setting, plan)
    runs = {str(threads): drive(peer, data, chosen, setting, threads, plan)
            for threads in threads_of}
    found = {"target": target, "reached": True, "setting": setting, "recall": row["recall"],
             "threads": runs}
    if chosen is None and not peer.is_server:
        found["batch"] = batches(peer, data, setting, plan)
    return found


def at_setting(peer: Peer, data: Dataset, setting: Setting, plan: Plan) -> dict:
    """Recall and rates with this setting, whatever it finds."""
    peer.prepare(setting)
    ids, _, _ = peer.answers(setting, None, data.shape.queries)
    warm_up(peer, data, None, setting, plan)
    runs = {str(threads): drive(peer, data, None, setting, threads, plan)
            for threads in plan.threads}
    return {"setting": setting, "recall": data.recall(ids, None), "threads": runs}


def default_recall(peer: NativePeer, data: Dataset, say) -> dict:
    """What is found when nothing is set, for each distribution of queries."""
    found = {asked: data.recall(peer.default_answers(asked), None, asked) for asked in ASKED}
    say("default recall: " + ", ".join(f"{asked} {recall:.4f}" for asked, recall in found.items()))
    return found


def limited(peer: NativePeer, data: Dataset, result: dict, plan: Plan, say) -> dict:
    """The same searches once more, by a server that may use only so much memory, files included."""
    share = plan.memory_limit_share
    found = {"share": share, "limit_bytes": int(share * data.base.nbytes)}
    try:
        peer.limit_memory(found["limit_bytes"])
    except NotPossible as problem:
        say(f"memory limit skipped: {problem}")
        return {**found, "skipped": str(problem)}
    try:
        rows = [("default", result["default"]), *(
            (str(row["target"]), row) for row in result["at"] if row["reached"])]
        found["at"] = {}
        for name, row in rows:
            found["at"][name] = at_setting(peer, data, row["setting"], plan)
        found["memory"] = peer.limited_memory()
    except Exception as problem:
        if peer.is_running():
            raise
        say(f"the server has ended inside its memory limit: {problem}")
        return {**found, "failed": "the kernel ended the server: it needs more"}
    say(f"inside {found['limit_bytes'] / (1 << 20):.0f} MiB: " + ", ".join(
        f"{name} {row['threads'][str(plan.threads[0])]['qps']:.0f}/s"
        for name, row in found["at"].items()))
    return found


def filtered(peer: Peer, data: Dataset, plan: Plan, say) -> list[dict]:
    """For each filter, what the cheapest setting takes that reaches each target."""
    found = []
    for chosen in (each for each in FILTERS if each.name in plan.filters):
        try:
            rows = sweep(peer, data, chosen, plan)
        except NotPossible as problem:
            say(f"no filters: {problem}")
            return []
        row = {"filter": chosen.name, "best_recall": max(row["recall"] for row in rows),
               "sweep": rows}
        row["at"] = [at_target(peer, data, chosen, rows, target, plan) for target in TARGETS]
        say(f"{chosen.name}: best recall {row['best_recall']:.3f}")
        found.append(row)
    return found


def batches(peer: Peer, data: Dataset, setting: Setting, plan: Plan) -> dict:
    """Queries a second when the library gets all queries in one call."""
    found = {}
    for threads in plan.threads:
        try:
            peer.batch(data.queries[:100], setting, threads)
        except NotPossible:
            return {}
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < plan.seconds:
            peer.batch(data.queries, setting, threads)
            count += len(data.queries)
        found[str(threads)] = count / (time.perf_counter() - started)
    return found


def warm_up(peer: Peer, data: Dataset, chosen: Filter | None, setting: Setting,
            plan: Plan) -> None:
    """Once for nothing, and for as long: right after a build, which has used caches and clocks in
    other ways, a system is up to a fifth slower."""
    threads = plan.threads if chosen is None else plan.filter_threads
    drive(peer, data, chosen, setting, threads[0], plan)


def drive(peer: Peer, data: Dataset, chosen: Filter | None, setting: Setting, threads: int,
          plan: Plan) -> dict:
    """So many clients at once, each with one query under way, for the time of the plan."""
    if isinstance(peer, NativePeer):
        return peer.drive(setting, chosen, threads, plan.seconds)
    queries = data.queries_for(chosen)
    # One thread needs no other process; more would wait for each other in Python.
    forked = peer.is_server or (peer.can_fork and threads > 1)
    runner = _in_processes if forked else _in_threads
    runs, spent = runner(peer, queries, chosen, setting, threads, plan.seconds)
    latencies = np.concatenate([run.latencies for run in runs])
    seconds = (max(run.ended for run in runs) - min(run.started for run in runs)) / 1e9
    ms = np.percentile(latencies, [50, 95, 99]) / 1e6
    count = len(latencies)
    found = {"qps": count / seconds, "p50_ms": ms[0], "p95_ms": ms[1], "p99_ms": ms[2],
             "queries": count, "cpu_us": spent / count * 1e6}
    return {name: float(value) for name, value in found.items()}


def _in_threads(peer: Peer, queries, chosen, setting, threads: int, seconds: float):
    clients = [peer.client(setting, chosen) for _ in range(threads)]
    ready = threading.Barrier(threads + 1)
    runs: list = [None] * threads

    def work(number: int) -> None:
        runs[number] = _loop(clients[number], queries, number * 37, ready, seconds)

    loops = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for loop in loops:
        loop.start()
    ready.wait()
    used = _used(peer)
    for loop in loops:
        loop.join()
    spent = _used(peer) - used
    for client in clients:
        client.close()
    return runs, spent


def _in_processes(peer: Peer, queries, chosen, setting, threads: int, seconds: float):
    context = multiprocessing.get_context("fork")
    ready, results = context.Barrier(threads + 1), context.Queue()

    def work(number: int) -> None:
        run = None
        try:
            client = peer.client(setting, chosen)
            run = _loop(client, queries, number * 37, ready, seconds)
        finally:
            results.put(run)

    workers = [context.Process(target=work, args=(number,), daemon=True)
               for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait(timeout=120)
    used = _used(peer)
    runs = [results.get(timeout=seconds * 20 + 120) for _ in workers]
    if any(run is None for run in runs):
        raise RuntimeError("a client of the load has failed")
    spent = _used(peer) - used if peer.is_server else sum(run.processor_s for run in runs)
    for worker in workers:
        worker.join()
    return runs, spent


def _loop(client, queries, first: int, ready, seconds: float) -> Run:
    requests = [client.request(query) for query in queries]
    for request in requests[:20]:
        client.ask(request)
    ready.wait()
    latencies: list[int] = []
    number, count = first, len(requests)
    ask, add, clock = client.ask, latencies.append, time.perf_counter_ns
    used, started = time.process_time(), clock()
    now, until = started, started + int(seconds * 1e9)
    while now < until:
        ask(requests[number % count])
        number += 1
        then, now = now, clock()
        add(now - then)
    return Run(np.array(latencies, dtype=np.int64), started, now, time.process_time() - used)


def backup(peer: Peer, data: Dataset, say) -> dict:
    """Time of a backup, and from the call that restores it to the first right answer."""
    query = data.queries[0]
    try:
        started = time.perf_counter()
        peer.back_up()
        made = time.perf_counter() - started
        answer = peer.restore(query)
        restored = time.perf_counter() - started - made
    except NotPossible as problem:
        return {"none": str(problem)}
    wanted = data.truth(None)[0]
    right = float(np.isin(np.round(data.base[list(answer)] @ query, 4), np.round(wanted, 4)).mean())
    say(f"backup {made:.2f} s, restored in {restored:.2f} s")
    return {"backup_s": made, "restore_s": restored, "recall_of_one": right}


def _used(peer: Peer) -> float:
    if not peer.is_server:
        return time.process_time()
    return processor_s(peer.processes(), True)
