"""How long a step of several hosts takes: from what each computes and sends, and what their network does."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MOST_STEPS", "Network", "Step", "agreeing_seconds", "around", "collectives_of_step", "predicted_seconds"]

MOST_STEPS = 8
"""Steps whose features the hosts agree on in one go, with two collectives."""

PAYLOAD = 1448 / 1514
"""Of what goes over a network; the rest is headers."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step of some hosts costs each.

    Attributes:
        seconds: of computing, on one thread.
        gradients: bytes of the packed gradients.
        features: bytes that tell which features they are of.
    """

    seconds: float
    gradients: int
    features: int


@dataclass(frozen=True, slots=True)
class Network:
    """What connects the hosts.

    Attributes:
        rate: Gbit/s that each host can send, and receive at the same time.
        latency: seconds of a collective of a few bytes.
        byte_seconds: what the processor needs for each byte sent, while another is on its way.
    """

    rate: float
    latency: float
    byte_seconds: float = 0.0

    def transfer(self, sent: float) -> float:
        """Seconds until so many bytes are sent."""
        return sent * max(8e-9 / self.rate / PAYLOAD, self.byte_seconds)


def around(hosts: int) -> float:
    """How many times the bytes of an array each host sends in a collective: the engine's ring."""
    return (2 * hosts - 1) / hosts


def collectives_of_step(steps: float = math.inf) -> float:
    """How many there are for each step of an epoch of so many: its own, two for each eight, one when it ends."""
    return 1 + 2 / MOST_STEPS if math.isinf(steps) else 1 + (2 * math.ceil(steps / MOST_STEPS) + 1) / steps


def predicted_seconds(step: Step, hosts: int, network: Network, steps: float = math.inf) -> float:
    """Of one step.

    Args:
        step: of so many hosts.
        hosts: how many.
        network: of so many hosts.
        steps: of an epoch.
    """
    if hosts == 1:
        return step.seconds
    transfer = network.transfer((step.gradients + step.features) * around(hosts))
    return step.seconds + network.latency * collectives_of_step(steps) + transfer


def agreeing_seconds(step: Step, hosts: int, network: Network) -> float:
    """Of one step: what it takes to agree on its features, which is all that could be done beside computing."""
    return network.latency * 2 / MOST_STEPS + network.transfer(step.features * around(hosts))
