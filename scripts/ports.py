"""Ports for the servers of all suites, so that suites that run side by side keep out of each other's.

A claim is a socket with a name of its own and without a file: it is free again when its owner is gone,
however that ended. INVARIANT: of two servers with claims none gets a port of the other's thousand.
"""

import random
import socket

# Below the range from which the system takes ports for outgoing connections. Indexes get the ports after the
# control port, in a long run all of them, one after the other.
PORTS = range(15_000, 31_000, 1_010)
# So many are tried before a claim is taken: other programs claim nothing.
PORTS_IN_A_ROW = 40


def claim_ports() -> tuple[int, socket.socket] | None:
    """A control port, and what holds it and the thousand after it until it is closed."""
    # Another order than any seed of a suite gives, or two suites would go through them together.
    for first in random.SystemRandom().sample(PORTS, len(PORTS)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0lodgepole-ports-{first}")
        except OSError:
            claim.close()
            continue
        if all(is_free(port) for port in range(first, first + PORTS_IN_A_ROW)):
            return first, claim
        claim.close()
    return None


def is_free(port: int) -> bool:
    """Whether a server could listen on it now."""
    with socket.socket() as probe:
        # As servers do: a port that was used a moment ago is not in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
