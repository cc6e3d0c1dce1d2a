"""API keys, where the server was told to want them: the right one opens, all others do not.

Goal: a request with a key that the server did not make is refused with 401, before anything else
about it is looked at. Method: the same calls with the right key and with a made-up one.
"""

from dataclasses import replace

import dialect
import sample
from case import RecordsTest


class Keys(RecordsTest):
    """Over REST."""

    def test_the_control_plane_is_closed_to_a_wrong_key(self) -> None:
        name = self.new_index()
        self.assertTrue(self.client.has_index(name))
        stranger = dialect.control(replace(self.server, key=self.wrong_key))
        # 401 comes before 404.
        for call, arguments in ((stranger.list_indexes, ()), (stranger.describe_index, (name,)),
                                (stranger.describe_index, ("never-made",)),
                                (stranger.delete_index, (name,))):
            self.assert_refused(401, call, *arguments)
        self.assertTrue(self.client.has_index(name))

    def test_the_data_plane_is_closed_to_a_wrong_key(self) -> None:
        name = self.new_index()
        records = sample.records(31, 3, "k")
        index = self.open(name)
        self.upsert(index, records)
        door = replace(self.server, key=self.wrong_key)
        if self.transport == "rest":
            stranger = dialect.control(door).Index(host=self.client.describe_index(name).host)
        else:
            stranger = dialect.open_by_host(door, self.client.describe_index(name).host)
        self.assert_refused(401, stranger.upsert, vectors=sample.records(32, 3, "x"))
        self.assert_refused(401, stranger.query, vector=records[0]["values"], top_k=3)
        self.assert_refused(401, stranger.delete, delete_all=True)
        self.assertEqual(self.contents(index, ""), self.expected(records))


class GrpcKeys(Keys):
    """Over gRPC."""

    transport = "grpc"
    test_the_control_plane_is_closed_to_a_wrong_key = None


SUITES = (Keys, GrpcKeys)
