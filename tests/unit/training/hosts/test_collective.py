"""What is built on the collectives, with any number of hosts."""

from __future__ import annotations

import numpy as np
import pytest

from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.training.hosts import collective as module
from openfm.training.hosts.collective import gathered, send
from openfm.training.hosts.sharing import share_machine
from openfm.training.hosts.unions import Unions
from support.hosts import all_well, on_hosts

ODD = np.array([-0.0, 0.0, np.nan, -np.inf, 5e-324, 1 / 3])  # what a sum would not leave as it is


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_all_hosts_get_what_each_gives_to_the_bit(hosts):
    tables = all_well(on_hosts(hosts, lambda c: gathered(c, ODD * (-1) ** c.rank)))
    expected = np.array([ODD * (-1) ** rank for rank in range(hosts)])
    assert [table.tobytes() for table in tables] == [expected.tobytes()] * hosts


@pytest.mark.parametrize("source", [0, 2])
@pytest.mark.parametrize("shape", [(0,), (6,), (3, 2, 1)])
def test_all_hosts_get_what_one_sends_to_the_bit(monkeypatch, source, shape):
    monkeypatch.setattr(module, "_PIECE_BYTES", 13)
    sent = np.resize(ODD, shape)
    sent.flags.writeable = False

    def work(c):
        array = sent if c.rank == source else np.full(shape, 7.0)
        send(c, array, source=source)
        return array

    assert [array.tobytes() for array in all_well(on_hosts(3, work))] == [sent.tobytes()] * 3


@pytest.mark.parametrize("hosts", [1, 2, 3, 5])
@pytest.mark.parametrize("feature_dim", [1, 9, 100, 100_000])
def test_unions_are_those_of_sets(hosts, feature_dim):
    rng = np.random.default_rng(hosts)
    # Few and many of all features, so that both forms travel; none on some hosts, and none at all.
    shares = [0.0, 0.001, 0.1, 1.0]
    own = [
        [
            rng.permutation(feature_dim)[: rng.binomial(feature_dim, share * rng.random())].astype(np.int32)
            for share in shares
        ]
        for _ in range(hosts)
    ]
    counts = np.array([[len(features) for features in steps] for steps in own])

    def work(c):
        unions = Unions(c, feature_dim)
        unions.agree(own[c.rank][::-1], counts[:, ::-1])  # leaves nothing behind
        return unions.agree(own[c.rank], counts)

    expected = [sorted(set().union(*(steps[i].tolist() for steps in own))) for i in range(len(shares))]
    for steps in all_well(on_hosts(hosts, work)):
        assert [features.tolist() for features in steps] == expected
        assert {features.dtype for features in steps} == {np.dtype(np.int32)}


def test_the_smaller_form_travels():
    def work(c):
        unions = Unions(c, 8000)
        before = c.ring.bytes
        unions.agree([np.arange(5, dtype=np.int32)], np.full((2, 1), 5))
        few = c.ring.bytes - before
        unions.agree([np.arange(4000, dtype=np.int32)], np.full((2, 1), 4000))
        return few, c.ring.bytes - before - few

    assert all_well(on_hosts(2, work))[0] == (2 * 5 * 4, 1000)


def test_the_first_that_has_a_machine_gives_it_to_all():
    settings = Hyperparameters.parse(
        {"feature_dim": "7", "num_factors": "3", "predictor_type": "regressor", "mini_batch_size": "1"}
    ).training_settings()
    rng = np.random.default_rng(0)
    machine = FactorizationMachine(
        0.25,
        rng.normal(size=settings.feature_dim).astype(np.float32),
        np.asfortranarray(rng.normal(size=(settings.feature_dim, settings.num_factors)).astype(np.float32)),
        PredictorType.REGRESSOR,
    )
    given = [None, machine, None]
    for received in all_well(on_hosts(3, lambda c: share_machine(c, given[c.rank], settings))):
        assert received.bias == machine.bias
        assert received.linear.tobytes() == machine.linear.tobytes()
        assert received.factors.tobytes() == machine.factors.tobytes()
    assert all_well(on_hosts(2, lambda c: share_machine(c, None, settings))) == [None, None]
