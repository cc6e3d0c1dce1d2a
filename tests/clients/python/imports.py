"""Bulk imports from Parquet files below a folder that the server was told to import from.

Goal: an import started by a client ends with every record readable, says truly how far it got, can
be cancelled, and refuses what it cannot read. Method: the files in `../imports`, whose contents
`make.py` there writes down.
"""

import time

import dialect
from case import RecordsTest

WAIT_S = 30.0


class ImportTest(RecordsTest):
    """Starting an import of a folder, and waiting for its end."""

    def start(self, index, folder: str, **options) -> str:
        reply = index.start_import(uri=(self.imports / folder).as_uri(), **options)
        self.assertTrue(reply.id)
        return reply.id

    def ended(self, index, import_id: str):
        until = time.monotonic() + WAIT_S
        while True:
            found = index.describe_import(id=import_id)
            if str(found.status) not in ("Pending", "InProgress"):
                return found
            self.assertLess(time.monotonic(), until, f"still {found.status}")
            time.sleep(0.05)


class Imports(ImportTest):
    """Over REST; later versions offer the same calls on their gRPC index."""

    def test_an_import_brings_every_record(self) -> None:
        index = self.open(self.new_index("euclidean", dimension=2))
        import_id = self.start(index, "good", error_mode="ABORT")
        started = index.describe_import(id=import_id)
        self.assertEqual(started.id, import_id)
        self.assertEqual(started.uri, (self.imports / "good").as_uri())
        self.assertTrue(started.created_at)
        found = self.ended(index, import_id)
        self.assertEqual((found.status, found.percent_complete), ("Completed", 100))
        self.assertEqual(found.records_imported, 171)
        self.assertTrue(found.finished_at)
        self.assertEqual(dialect.counts(index), {"__default__": 20, "books": 151})
        hits = index.query(vector=[0.0, 0.0], top_k=3, namespace="books", include_metadata=True,
                           filter={"n": {"$gte": 60}}).matches
        self.assert_hits(hits, [("a060", 61.0 ** 2), ("a061", 62.0 ** 2), ("a062", 63.0 ** 2)])
        self.assertEqual(dialect.plain(hits[0].metadata), {"n": 60})
        fetched = index.fetch(ids=["none", "b007"], namespace="books").vectors
        self.assertEqual(list(fetched["none"].values), [0.5, 0.5])
        self.assertEqual(dialect.plain(fetched["none"].metadata), {})
        self.assertEqual(dialect.plain(fetched["b007"].metadata), {"n": 7})
        self.assertEqual(index.query(id="d003", top_k=1).matches[0].id, "d003")
        # Namespaces that are there already cannot be imported into.
        again = self.ended(index, self.start(index, "good"))
        self.assertEqual(again.status, "Failed")
        self.assertIn("already exists", again.error)
        self.assertEqual(dialect.counts(index), {"__default__": 20, "books": 151})
        # Cancelling what has ended is no error, and changes nothing.
        index.cancel_import(id=import_id)
        self.assertEqual(index.describe_import(id=import_id).status, "Completed")

    def test_bad_rows_are_skipped_or_end_it(self) -> None:
        index = self.open(self.new_index("euclidean", dimension=2))
        failed = self.ended(index, self.start(index, "skipped", error_mode="ABORT"))
        self.assertEqual(failed.status, "Failed")
        self.assertIn("row", failed.error)
        self.assertEqual(dialect.counts(index), {})
        done = self.ended(index, self.start(index, "skipped", error_mode="CONTINUE"))
        self.assertEqual((done.status, done.records_imported), ("Completed", 5))
        self.assertEqual(dialect.counts(index), {"books": 5})

    def test_files_that_cannot_be_read_are_named(self) -> None:
        index = self.open(self.new_index("euclidean", dimension=2))
        unknown = self.ended(index, self.start(index, "broken"))
        self.assertEqual(unknown.status, "Failed")
        self.assertIn("extra", unknown.error)
        self.assertEqual(dialect.counts(index), {})

    def test_imports_are_listed_and_cancelled(self) -> None:
        index = self.open(self.new_index("euclidean", dimension=2))
        self.assertEqual(list(index.list_imports()), [])
        first = self.start(index, "broken")
        self.ended(index, first)
        # No bucket can be reached from a test: the import waits for it, and can be cancelled.
        slow = index.start_import(uri="s3://no-such-bucket-of-lodgepole/", error_mode="CONTINUE").id
        self.assertIn(index.describe_import(id=slow).status, ("Pending", "InProgress"))
        self.assertEqual({found.id for found in index.list_imports()}, {first, slow})
        page = index.list_imports_paginated(limit=1)
        self.assertEqual(len(list(page.data if hasattr(page, "data") else page)), 1)
        index.cancel_import(id=slow)
        self.assertEqual(index.describe_import(id=slow).status, "Cancelled")
        self.assertEqual(dialect.counts(index), {})

    def test_folders_outside_are_refused(self) -> None:
        index = self.open(self.new_index("euclidean", dimension=2))
        for uri in ("file:///etc", f"{self.imports.as_uri()}/../..", "ftp://host/folder", ""):
            self.assert_refused_by_either(index.start_import, uri=uri)
        self.assert_refused(404, index.describe_import, id="101")
        self.assertEqual(list(index.list_imports()), [])


class EmptyImports(ImportTest):
    """The server waits some seconds for files that are not there, so this is for one version."""

    def test_a_folder_without_files_fails(self) -> None:
        index = self.open(self.new_index("euclidean", dimension=2))
        empty = self.ended(index, self.start(index, "nothing-here"))
        self.assertEqual(empty.status, "Failed")
        self.assertTrue(empty.error)
        self.assertEqual(dialect.counts(index), {})


class GrpcImports(Imports):
    """The same calls on the index that was opened for gRPC."""

    transport = "grpc"


SUITES = (Imports, *([GrpcImports, EmptyImports] if dialect.VERSION >= (10,) else []))
