"""What differs between versions of the official Python client, and nothing else.

The tests are written once. A client is used as its own guide tells a user to, except where a
plain-text gRPC connection needs another door: the client takes the scheme of an index's address off
and dials TLS unless told otherwise, each version in its own way. Over TLS an index is opened by its
name alone, with every version and both transports.
"""

import json
import ssl
import urllib.request
from dataclasses import dataclass
from importlib.metadata import version

from pinecone import ByocSpec, Pinecone, PodSpec, ServerlessSpec
from pinecone.exceptions import (ForbiddenException, NotFoundException, PineconeApiException,
                                 UnauthorizedException)
from pinecone.exceptions import PineconeException as API_ERROR  # Also the name in later versions.

VERSION = tuple(int(part) for part in version("pinecone").split("."))
SPEC = ServerlessSpec(cloud="aws", region="us-east-1")
DEDICATED = {"mode": "Dedicated", "dedicated": {"node_type": "b1", "scaling": "Manual",
                                                "manual": {"shards": 1, "replicas": 1}}}

# What a version has: the tests of what it lacks are not there for it.
HAS_UPDATE_BY_FILTER = HAS_FETCH_BY_METADATA = HAS_CREATE_NAMESPACE = VERSION >= (8,)
HAS_READ_CAPACITY = VERSION >= (8,)
HAS_NAMESPACE_PREFIX = VERSION >= (9,)
# The gRPC index of 9.0 is smaller than those before and after it.
HAS_WHOLE_GRPC = VERSION[:2] != (9, 0)
HAS_SCHEDULES = VERSION >= (10,)
HAS_INDEX_FROM_COLLECTION = VERSION < (10,)

# gRPC codes, as the HTTP status that says the same.
STATUS_OF_CODE = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 9: 412, 11: 400, 16: 401}


@dataclass(frozen=True)
class Server:
    """Where the server is, and what it takes to be let in. `ca` is a file, over TLS only."""

    url: str
    key: str = "any"
    ca: str | None = None


def control(server: Server) -> Pinecone:
    """The control plane of a server. Versions 9 and later take the CA from SSL_CERT_FILE."""
    if server.ca is not None and VERSION < (9,):
        return Pinecone(api_key=server.key, host=server.url, ssl_ca_certs=server.ca)
    if server.ca is None and VERSION >= (10,):
        return Pinecone(api_key=server.key, host=server.url, grpc_scheme="http")
    return Pinecone(api_key=server.key, host=server.url)


def open_index(server: Server, client: Pinecone, name: str, transport: str):
    """The data plane of an index, over `rest` or `grpc`."""
    if transport == "rest":
        return client.Index(name)
    if VERSION >= (10,) or (VERSION >= (9,) and server.ca is not None):
        return client.index(name=name, grpc=True)
    if server.ca is not None:
        from pinecone.grpc import PineconeGRPC

        own = PineconeGRPC(api_key=server.key, host=server.url, ssl_ca_certs=server.ca)
        return own.Index(name)
    bare = client.describe_index(name).host.removeprefix("http://")
    if VERSION >= (9,):
        from pinecone.grpc import GrpcIndex

        return GrpcIndex(host=bare, api_key=server.key, secure=False)
    from pinecone.grpc import GRPCClientConfig, PineconeGRPC

    config = GRPCClientConfig(secure=False)
    return PineconeGRPC(api_key=server.key).Index(host=bare, grpc_config=config)


def open_by_host(server: Server, host: str):
    """The data plane over gRPC and TLS, by an address that is known already."""
    if VERSION >= (9,):
        from pinecone.grpc import GrpcIndex

        return GrpcIndex(host=host.removeprefix("https://"), api_key=server.key)
    from pinecone.grpc import PineconeGRPC

    return PineconeGRPC(api_key=server.key, ssl_ca_certs=server.ca).Index(host=host)


def status_of(error: Exception) -> int | None:
    """The HTTP status of a refusal by the server; None when it is something else."""
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if isinstance(status, int):
        return status
    # Versions 7 and 8 wrap the error of gRPC in one that has no status of its own.
    code = getattr(error.__cause__, "code", None)
    return STATUS_OF_CODE.get(code().value[0]) if code else None


def refusal(status: int, transport: str) -> type[Exception] | tuple:
    """The class in which this version hands a refusal of the server to its user."""
    classes = {401: UnauthorizedException, 403: ForbiddenException, 404: NotFoundException}
    if VERSION >= (9,):
        from pinecone.errors.exceptions import ConflictError

        classes[409] = ConflictError
    rest = classes.get(status, PineconeApiException)
    return rest if transport == "rest" or VERSION >= (9,) else (rest, API_ERROR)


def plain(mapping) -> dict:
    """Tags or metadata as a dict, whatever class the client wraps them in."""
    if mapping is None:
        return {}
    return mapping.to_dict() if hasattr(mapping, "to_dict") else dict(mapping)


def sparse(vector) -> tuple[list[int], list[float]] | None:
    """The sparse part of a record or a hit. Some versions say None, others an empty one."""
    found = getattr(vector, "sparse_values", None)
    if found is None or not list(found.indices):
        return None
    return list(found.indices), list(found.values)


def field(reply, name: str):
    """A field of what some versions give as a dict and others as an object."""
    return reply[name] if isinstance(reply, dict) else getattr(reply, name)


def shape_of(described) -> tuple[int, str]:
    """Dimension and metric of an index or a backup."""
    if VERSION >= (10,) and hasattr(described, "dense_dimension"):
        found = described.schema.fields["_values"]
        return found.dimension, found.metric
    return described.dimension, described.metric


def capacity_of(index) -> dict:
    """The read capacity of an index, as the API spells it."""
    found = index.read_capacity if VERSION >= (10,) else index.spec.serverless.read_capacity
    if VERSION >= (10,):
        import msgspec

        return msgspec.to_builtins(found)
    return found if isinstance(found, dict) else found.to_dict()


def byoc_index(client: Pinecone, name: str, environment: str) -> None:
    """At 2026-07 such an index must say that its read capacity is its own."""
    more = {"read_capacity": DEDICATED} if VERSION >= (10,) else {}
    client.create_index(name=name, dimension=8, metric="cosine",
                        spec=ByocSpec(environment=environment, **more))


def pod_spec(**options) -> PodSpec:
    """A pod spec in an environment that is not ours to know."""
    return PodSpec(**{"environment": "us-east-1-aws", "pod_type": "p1.x1"} | options)


def pod_index(server: Server, client: Pinecone, name: str, metric: str, dimension: int) -> None:
    """The API of version 10 makes no new ones; those made with an older one live on."""
    spec = pod_spec()
    if VERSION < (10,):
        client.create_index(name=name, dimension=dimension, metric=metric, spec=spec)
        return
    body = {"name": name, "dimension": dimension, "metric": metric, "spec": spec.asdict()}
    trust = ssl.create_default_context(cafile=server.ca) if server.ca else None
    headers = {"Api-Key": server.key, "X-Pinecone-Api-Version": "2025-10",
               "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.url}/indexes", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, context=trust).close()


def configure_capacity(client: Pinecone, name: str, capacity: dict) -> None:
    """Version 9 takes what belongs to a serverless index by a name of its own."""
    key = "serverless_read_capacity" if VERSION[0] == 9 else "read_capacity"
    client.configure_index(name, **{key: capacity})


def metadata_schema(transport: str, *names: str) -> dict:
    """A schema for these fields. Version 8 wants objects of its own in it, over REST."""
    if VERSION[0] != 8 or transport != "rest":
        return {"fields": {name: {"filterable": True} for name in names}}
    from pinecone.core.openapi.db_data.models import CreateNamespaceRequestSchemaFields as Field

    return {"fields": {name: Field(filterable=True) for name in names}}


def write_texts(index, namespace: str, records: list[dict]) -> None:
    """Records whose text the server is asked to embed."""
    index.upsert_records(namespace=namespace, records=records)


def page_of_ids(index, **arguments) -> tuple[list[str], str | None]:
    """One page of a listing: its ids, and the token of the next page if there is one."""
    page = index.list_paginated(**arguments)
    token = page.pagination.next if page.pagination else None
    return [entry.id for entry in page.vectors], token or None


def all_ids(index, **arguments) -> list[str]:
    """What the generator of the client goes through: ids in older versions, replies in newer."""
    found = []
    for page in index.list(**arguments):
        found += page if isinstance(page, list) else [entry.id for entry in page.vectors]
    return found


def page_of_namespaces(index, **arguments) -> tuple[dict[str, int], str | None, int | None]:
    """Names with record counts, the token of the next page, and how many there are in all."""
    page = index.list_namespaces_paginated(**arguments)
    token = page.pagination.next if page.pagination else None
    found = {entry.name: int(entry.record_count or 0) for entry in page.namespaces}
    return found, token or None, getattr(page, "total_count", None)


def counts(index, **arguments) -> dict[str, int]:
    """Records of each namespace that has some. The default one is called `__default__`."""
    stats = index.describe_index_stats(**arguments)
    found = {name or "__default__": summary.vector_count
             for name, summary in stats.namespaces.items() if summary.vector_count}
    assert sum(found.values()) == stats.total_vector_count, (found, stats.total_vector_count)
    return found
