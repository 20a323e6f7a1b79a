"""Breaks records at random: the native decoder must give what the slow one gives, rows or refusal, and never crash.

    python -m soak.decoder [--seconds 300] [--seed 0]

Valid records of every layout are changed, cut, repeated and joined, and decoded with every instruction set. To see
reads and writes out of bounds too, build the core with ``-fsanitize=address,undefined``.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter

from openfm.data import recordio
from openfm.data.records import decode_records
from openfm.data.records_reference import decode_records_reference
from openfm.errors import DataError
from openfm.native import _core
from support import wire

MODES = ("required", "optional", "ignored")
_BYTES = (0x00, 0x01, 0x06, 0x0A, 0x0B, 0x0C, 0x12, 0x1A, 0x7F, 0x80, 0xFF)
_VALUES = (0.0, -0.0, 1.0, -2.5, 1e-45, 3.4e38)
_WEIGHTS = (0.0, -0.0, 1.0, 2.5, 1e-45, 3.4e38)
_SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 64)
_LENGTHS = (2**7, 2**14, 2**21, 2**28, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1)


class Campaign:
    """Breaks records, and holds what the native decoder says to what the slow one says.

    Args:
        seed: of all that is random.

    Attributes:
        outcomes: how many of the broken files were decoded (``rows``), and how many refused, by kind of fault.
        straight: how many records took the decoder's straight way.
    """

    def __init__(self, seed: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.straight = 0
        self._random = random.Random(seed)

    def run_once(self) -> None:
        """Breaks one file of one to four records, and decodes it.

        Raises:
            AssertionError: the decoders or the instruction sets differ; with the data.
        """
        feature_dim = self._random.choice([8, 40, 2**26])
        payloads = [self._record(feature_dim) for _ in range(self._random.randint(1, 3))]
        if self._random.random() < 0.7:
            at = self._random.randrange(len(payloads))
            payloads[at] = self._changed(payloads[at])
        data = b"".join(map(recordio.frame, payloads))
        if self._random.random() < 0.3:
            data = self._changed(data)
        self._check(data, self._random.choice([feature_dim, feature_dim, None]), self._random.choice(MODES))

    def _record(self, feature_dim: int) -> bytes:
        pick = self._random.choice
        dense = feature_dim <= 40 and self._random.random() < 0.5
        size = feature_dim if dense else min(pick(_SIZES), feature_dim)
        values = [pick(_VALUES) for _ in range(size)]
        keys = b""
        if not dense:
            columns = sorted(self._random.sample(range(feature_dim), size))
            if self._random.random() < 0.1:
                self._random.shuffle(columns)
            longer = self._random.random() < 0.3
            keys = b"".join(wire.varint(key, length=pick([1, 2, 3, 4, 5, 10]) if longer else 1) for key in columns)
        shape = wire.varint(feature_dim) if self._random.random() < 0.5 else b""
        features = wire.features(wire.float32_tensor(wire.floats(*values), keys, shape))
        label = wire.label(wire.float32_tensor(wire.floats(pick(_VALUES))))
        parts = [features, label, wire.field(3, b"id"), features][: pick([1, 2, 2, 2, 2, 2, 3, 4])]
        if self._random.random() < 0.3:
            weight = wire.label(wire.float32_tensor(wire.floats(pick(_WEIGHTS))), b"weight")
            parts.insert(pick([len(parts), len(parts), 0, 1]), weight)
        return b"".join(parts)

    def _changed(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randrange(len(changed) + 1)
            match self._random.randrange(6):
                case 0:
                    changed[at : at + 1] = bytes([self._random.choice(_BYTES)])
                case 1:
                    changed[at : at + 1] = wire.varint(self._random.choice(_LENGTHS))
                case 2:
                    del changed[at : at + self._random.randint(1, 8)]
                case 3:
                    changed[at:at] = self._random.randbytes(self._random.randint(1, 8))
                case 4:
                    changed[at:at] = changed[at : at + self._random.randint(1, 64)]
                case _:
                    del changed[at:]
        return bytes(changed)

    def _check(self, data: bytes, feature_dim: int | None, labels: str) -> None:
        found = [_decoded(data, feature_dim, labels, name) for name in _core.instruction_sets()]
        same = found.count(found[0]) == len(found)
        fault = found[0][0]
        expected = _outcome(decode_records_reference, data, feature_dim, labels)
        if not same or _outcome(decode_records, data, feature_dim, labels) != expected:
            raise AssertionError(f"feature_dim {feature_dim}, labels {labels}: {data.hex()}")
        self.outcomes["rows" if fault is None else fault[0]] += 1
        self.straight += found[0][1]


def _decoded(data: bytes, feature_dim: int | None, labels: str, instruction_set: str) -> tuple:
    found = _core.decode_records(data, feature_dim, labels, framed=True, final=True, instruction_set=instruction_set)
    arrays = (found.indptr, found.indices, found.values, found.labels, found.weights)
    scalars = (found.fault, found.usual_records, found.consumed, found.feature_dim, found.dense_records)
    return *scalars, *(None if array is None else array.tobytes() for array in arrays)


def _outcome(decode, data: bytes, feature_dim: int | None, labels: str) -> object:
    try:
        block = decode(data, feature_dim=feature_dim, labels=labels)
    except DataError as error:
        return error.message
    rows = block.rows
    own_labels = None if block.labels is None else block.labels.tobytes()
    return rows.indptr.tolist(), rows.indices.tolist(), rows.values.tobytes(), own_labels, rows.feature_dim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    campaign = Campaign(arguments.seed)
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        campaign.run_once()
    files = sum(campaign.outcomes.values())
    print(f"{files} files, {campaign.straight} records by the straight way, all as the slow decoder has them:")
    for outcome, count in campaign.outcomes.most_common():
        print(f"  {outcome:20} {count}")


if __name__ == "__main__":
    main()
