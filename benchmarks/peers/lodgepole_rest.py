"""Lodgepole as a server with its default settings, over REST."""

from benchmarks.peers import lodgepole_grpc


class Measured(lodgepole_grpc.Measured):
    """A server with one index."""

    transport = "rest"
