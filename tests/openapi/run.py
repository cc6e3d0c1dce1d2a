"""Calls every operation of Pinecone's OpenAPI descriptions with generated requests.

    run.py --url http://127.0.0.1:5080 --specs FOLDER --imports FOLDER [--cases 2000] [--seed 1]

Goal: whatever a request looks like, the server answers it: no status in the 500s, no connection
that is dropped, and a body that fits the description of that version. Method: schemathesis makes
requests that fit the description and requests that do not, for every operation of four versions;
half of them are aimed at things that exist, so that not every answer is 404 or 400. The examples
depend on the seed only.

Each operation of each version is one test. Ends with `N passed, N failed`.
"""

import argparse
import json
import random
import sys
import time
import warnings
from pathlib import Path

import hypothesis
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

VERSIONS = ("2024-07", "2025-10", "2026-01.alpha", "2026-04")
# What a description is about, by the beginning of its file's name. Accounts, sign-in and billing
# metrics are not part of a server that one runs oneself, and are left out.
CONTROL, DATA = "control", "data"
KINDS = {"control": CONTROL, "db_control": CONTROL, "inference": CONTROL,
         "data": DATA, "db_data": DATA}
DIMENSION = 3
# The clients insist on other statuses of success than the descriptions have (docs/compatibility.md).
MOVED_SUCCESS = {("patch", "/indexes/{index_name}"): ("202", "200"),
                 ("post", "/indexes/{index_name}/backups"): ("201", "200")}
TIMEOUT_S = 20
VERSION_HEADER = "x-pinecone-api-version"

SERVERLESS = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
FLAT_MODEL = {"deployment": {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
              "model": "multilingual-e5-large", "field": "body"}
# Operations that no request can succeed with in this release: they need a hosted model.
WITHOUT_SUCCESS = {"POST /embed", "POST /rerank", "POST /records/namespaces/{namespace}/upsert",
                   "POST /records/namespaces/{namespace}/search",
                   *(f"POST /namespaces/{{namespace}}/documents/{verb}"
                     for verb in ("upsert", "search", "fetch", "delete"))}


class Loader(yaml.SafeLoader):
    """YAML in which a date is a text, as in the JSON that it describes."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value) -> bytes:
    """One JSON text a line."""
    records = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(record) for record in records).encode()


class World:
    """The server as the generated requests find it, and the things they can be aimed at."""

    def __init__(self, url: str, imports: Path):
        self.url, self.imports = url, imports
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Api-Key"] = "any"
        self.made = 0
        self.host = ""
        self.names: dict[str, list[str]] = {}
        self.furnish()

    def call(self, method: str, address: str, body=None, good=(200, 201, 202, 409)) -> dict:
        """A request that has to succeed."""
        headers = {"X-Pinecone-Api-Version": "2025-10"}
        reply = self.session.request(method, address, json=body, headers=headers,
                                     timeout=TIMEOUT_S)
        if reply.status_code not in good:
            raise SystemExit(f"{method} {address}: {reply.status_code} {reply.text}")
        return reply.json() if reply.content else {}

    def fresh(self) -> str:
        """A name that nothing has."""
        self.made += 1
        return f"made-{self.made}"

    def furnish(self) -> None:
        """Makes what requests are aimed at; what is there already is fine."""
        pod = {"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1"}}
        for name, spec in (("kept", SERVERLESS), ("kept-pods", pod)):
            self.call("POST", f"{self.url}/indexes", index_body(name, spec))
            # Protected, so that a generated DELETE does not take it away.
            self.call("PATCH", f"{self.url}/indexes/{name}", {"deletion_protection": "enabled"})
        host = self.call("GET", f"{self.url}/indexes/kept")["host"]
        self.host = host if "://" in host else f"http://{host}"
        for namespace in ("", "space"):
            records = [{"id": f"id-{n}", "values": [1.0, 0.5, n / 10],
                        "metadata": {"n": n, "t": "x"}} for n in range(20)]
            self.call("POST", f"{self.host}/vectors/upsert",
                      {"vectors": records, "namespace": namespace})
        backup = self.backup()
        restored = self.fresh()
        job = self.call("POST", f"{self.url}/backups/{backup}/create-index", {"name": restored})
        self.call("POST", f"{self.url}/collections",
                  {"name": "kept-collection", "source": "kept-pods"})
        self.call("DELETE", f"{self.url}/indexes/{restored}")
        self.names = {"index_name": ["kept", "kept-pods"], "backup_id": [backup],
                      "job_id": [job["restore_job_id"]], "collection_name": ["kept-collection"],
                      "namespace": ["", "__default__", "space"],
                      "model_name": ["multilingual-e5-large", "pinecone-rerank-v0"],
                      "id": [self.started_import()]}

    def backup(self) -> str:
        return self.call("POST", f"{self.url}/indexes/kept/backups", {})["backup_id"]

    def started_import(self) -> str:
        return self.call("POST", f"{self.host}/bulk/imports", {"uri": self.imports.as_uri()})["id"]

    def disposable(self, label: str) -> dict[str, str]:
        """Makes something for a DELETE to take away."""
        name = self.fresh()
        if label == "DELETE /indexes/{index_name}":
            self.call("POST", f"{self.url}/indexes", index_body(name, SERVERLESS))
            return {"index_name": name}
        if label == "DELETE /backups/{backup_id}":
            return {"backup_id": self.backup()}
        if label == "DELETE /collections/{collection_name}":
            self.call("POST", f"{self.url}/collections", {"name": name, "source": "kept-pods"})
            return {"collection_name": name}
        if label == "DELETE /namespaces/{namespace}":
            self.call("POST", f"{self.host}/namespaces", {"name": name})
            return {"namespace": name}
        return {}

    def good_body(self, label: str, version: str) -> dict | None:
        """A body that is right, for operations that generated bodies seldom succeed with."""
        name = self.fresh()
        record = {"id": "id-1", "values": [0.5, 1.0, 0.25], "metadata": {"t": ["x", "y"]},
                  "sparseValues": {"indices": [7, 3], "values": [0.5, 0.25]}}
        bodies = {
            "POST /indexes": schema_body(name) if version == "2026-01.alpha"
            else index_body(name, SERVERLESS),
            "POST /indexes/create-for-model": FLAT_MODEL | {"name": name}
            if version == "2026-01.alpha"
            else {"name": name, "cloud": "aws", "region": "us-east-1",
                  "embed": {"model": "multilingual-e5-large", "field_map": {"text": "body"}}},
            "PATCH /indexes/{index_name}": {"tags": {"team": "a"}},
            "POST /indexes/{index_name}/backups": {"name": name},
            "POST /backups/{backup_id}/create-index": {"name": name},
            "POST /collections": {"name": name, "source": "kept-pods"},
            "POST /namespaces": {"name": name},
            "POST /bulk/imports": {"uri": self.imports.as_uri()},
            "POST /vectors/upsert": {"vectors": [record]},
            "POST /vectors/update": {"id": "id-2", "setMetadata": {"t": "z"}},
            "POST /vectors/delete": {"ids": ["id-3"]},
            "POST /vectors/fetch_by_metadata": {"filter": {"t": "x"}, "limit": 3},
            "POST /query": {"vector": [1, 1, 1], "topK": 3, "includeMetadata": True,
                            "includeValues": True},
        }
        return bodies.get(label)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the control plane of a running server")
    parser.add_argument("--specs", required=True, type=Path, help="a folder with one per version")
    parser.add_argument("--imports", required=True, type=Path,
                        help="a folder from which the server may import")
    parser.add_argument("--cases", type=int, default=2_000, help="requests in all, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="operations whose name contains this text")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    operations = [found for version in VERSIONS for found in read(options.specs / version)
                  if options.only in found[2].label]
    # Some more than their share: not every generated request can be sent.
    each = options.cases // max(len(operations), 1) + 3
    begun, passed, failed, cases = time.monotonic(), 0, 0, 0
    succeeded = set()
    world = World(options.url, options.imports)
    for number, (version, kind, operation) in enumerate(operations):
        base = world.url if kind == CONTROL else world.host
        made, good, problem = run(operation, base, version, world, each,
                                  options.seed * 100_003 + number)
        cases += made
        if good:
            succeeded.add(operation.label)
        passed, failed = passed + (not problem), failed + bool(problem)
        if problem:
            print(f"FAILED {version} {operation.label}\n{indented(problem)}", flush=True)
            world.furnish()
    for label in sorted({operation.label for *_, operation in operations} - succeeded):
        if label not in WITHOUT_SUCCESS and not options.only:
            print(f"FAILED {label}: none of its requests succeeded, so its answers were not tested")
            failed += 1
    print(f"{cases} requests to {len(operations)} operations in {time.monotonic() - begun:.0f} s")
    if cases < options.cases and not options.only:
        print(f"FAILED too few requests: {cases} of {options.cases}")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def read(folder: Path) -> list:
    """The operations of one version: version, plane, operation."""
    found = []
    for file in sorted(folder.glob("*.yaml")):
        kind = KINDS.get(file.name.rsplit(f"_{folder.name}", 1)[0])
        if kind is None:
            continue
        description = yaml.load(file.read_text(), Loader)
        move_successes(description)
        schema = schemathesis.openapi.from_dict(description)
        found += [(folder.name, kind, result.ok()) for result in schema.get_all_operations()]
    return found


def move_successes(description: dict) -> None:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if (method, path) in MOVED_SUCCESS and "responses" in operation:
                described, sent = MOVED_SUCCESS[method, path]
                if described in operation["responses"]:
                    operation["responses"][sent] = operation["responses"].pop(described)


def run(operation, base: str, version: str, world: World, count: int,
        seed: int) -> tuple[int, int, str]:
    """Sends `count` generated requests: how many were sent, how many succeeded, what went wrong."""
    sent = good = 0
    strategy = st.one_of(*(operation.as_strategy(generation_mode=mode)
                           for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)))

    @hypothesis.seed(seed)
    @settings(max_examples=count, database=None, deadline=None, verbosity=Verbosity.quiet,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
              print_blob=False)
    @given(case=strategy, aim=st.integers(0, 2**32))
    def check(case, aim):
        nonlocal sent, good
        if aim % 2:
            aim_at(case, world, version, random.Random(aim))
        # A generated version would change the description that the answer has to fit.
        for name in [name for name in case.headers or {} if name.lower() == VERSION_HEADER]:
            del case.headers[name]
        headers = {VERSION_HEADER: version, "Api-Key": "any"}
        sent += 1
        try:
            response = case.call(base_url=base, session=world.session, headers=headers,
                                 timeout=TIMEOUT_S)
        except requests.exceptions.InvalidHeader:
            return
        good += 200 <= response.status_code < 300
        checks = [not_a_server_error]
        # A case about the absence of the header is answered in the dialect of another version.
        if response.request.headers.get(VERSION_HEADER) == version:
            checks.append(response_schema_conformance)
        case.validate_response(response, checks=checks)

    try:
        check()
    except hypothesis.errors.Unsatisfiable:
        return sent, good, ""
    except BaseException as problem:
        if isinstance(problem, KeyboardInterrupt):
            raise
        return sent, good, describe(problem)
    return sent, good, ""


def describe(problem: BaseException) -> str:
    """The failure without the traces of the tools."""
    inner = getattr(problem, "exceptions", None)
    texts = [describe(part) for part in inner] if inner else [f"{type(problem).__name__}: {problem}"]
    return "\n".join(texts)[:3_000]


def aim_at(case, world: World, version: str, chance: random.Random) -> None:
    """Points a request at something that exists, and gives its vectors the right length."""
    label = case.operation.label
    for name in case.path_parameters or {}:
        if name in world.names:
            case.path_parameters[name] = chance.choice(world.names[name])
    case.path_parameters.update(world.disposable(label))
    if label == "DELETE /vectors/delete" and chance.random() < 0.5:
        case.query = {"ids": ["id-4"]}
    good = world.good_body(label, version)
    if good is not None and chance.random() < 0.5:
        case.body = good
    elif isinstance(case.body, dict):
        fit(case.body, world, chance)


def fit(body: dict, world: World, chance: random.Random) -> None:
    for key, value in body.items():
        if key in ("values", "vector") and isinstance(value, list):
            body[key] = [chance.uniform(-1, 1) for _ in range(DIMENSION)]
        elif key in ("sparseValues", "sparseVector", "queries"):
            continue
        elif key == "topK":
            body[key] = chance.randint(1, 20)
        elif key == "namespace" and isinstance(value, str):
            body[key] = chance.choice(world.names["namespace"])
        elif isinstance(value, dict) and key != "metadata":
            fit(value, world, chance)
        elif isinstance(value, list):
            for part in value:
                if isinstance(part, dict):
                    fit(part, world, chance)


def index_body(name: str, spec: dict) -> dict:
    return {"name": name, "dimension": DIMENSION, "metric": "dotproduct", "spec": spec}


def schema_body(name: str) -> dict:
    dense = {"type": "dense_vector", "dimension": DIMENSION, "metric": "dotproduct"}
    return {"name": name, "schema": {"fields": {"_values": dense}}}


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
