"""What differs between versions of the official Python client, and nothing else.

The tests are written once. A client is used as its own guide tells a user to, except where a
plain-text gRPC connection needs another door: the client takes the scheme of an index's address off
and dials TLS unless told otherwise, each version in its own way.
"""

from importlib.metadata import version

from pinecone import Pinecone, ServerlessSpec
from pinecone.exceptions import PineconeException as API_ERROR  # Also the name in later versions.

VERSION = tuple(int(part) for part in version("pinecone").split("."))
SPEC = ServerlessSpec(cloud="aws", region="us-east-1")

# gRPC codes, as the HTTP status that says the same.
STATUS_OF_CODE = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 9: 412, 11: 400, 16: 401}


def control(url: str) -> Pinecone:
    """The control plane of the server at `url`."""
    if VERSION >= (10,):
        return Pinecone(api_key="any", host=url, grpc_scheme="http")
    return Pinecone(api_key="any", host=url)


def open_index(client: Pinecone, name: str, transport: str):
    """The data plane of an index, over `rest` or `grpc`."""
    if transport == "rest":
        return client.Index(name)
    if VERSION >= (10,):
        return client.index(name=name, grpc=True)
    bare = client.describe_index(name).host.removeprefix("http://")
    if VERSION >= (9,):
        from pinecone.grpc import GrpcIndex

        return GrpcIndex(host=bare, api_key="any", secure=False)
    from pinecone.grpc import GRPCClientConfig, PineconeGRPC

    return PineconeGRPC(api_key="any").Index(host=bare, grpc_config=GRPCClientConfig(secure=False))


def status_of(error: Exception) -> int | None:
    """The HTTP status of a refusal by the server; None when it is something else."""
    status = getattr(error, "status_code", None) or getattr(error, "status", None)
    if isinstance(status, int):
        return status
    # Versions 7 and 8 wrap the error of gRPC in one that has no status of its own.
    code = getattr(error.__cause__, "code", None)
    return STATUS_OF_CODE.get(code().value[0]) if code else None


def plain(mapping) -> dict:
    """Tags or metadata as a dict, whatever class the client wraps them in."""
    if mapping is None:
        return {}
    return mapping.to_dict() if hasattr(mapping, "to_dict") else dict(mapping)


def shape_of(described) -> tuple[int, str]:
    """Dimension and metric of an index or a backup."""
    if VERSION >= (10,) and hasattr(described, "dense_dimension"):
        field = described.schema.fields["_values"]
        return field.dimension, field.metric
    return described.dimension, described.metric


def page_of_ids(index, **arguments) -> tuple[list[str], str | None]:
    """One page of a listing: its ids, and the token of the next page if there is one."""
    page = index.list_paginated(**arguments)
    token = page.pagination.next if page.pagination else None
    return [entry.id for entry in page.vectors], token or None


def counts(index) -> dict[str, int]:
    """Records of each namespace that has some. The default one is called `__default__`."""
    stats = index.describe_index_stats()
    found = {name or "__default__": summary.vector_count
             for name, summary in stats.namespaces.items() if summary.vector_count}
    assert sum(found.values()) == stats.total_vector_count, (found, stats.total_vector_count)
    return found
