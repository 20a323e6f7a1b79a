from __future__ import annotations

import numpy as np
import pytest

from openfm.fm.initializers import Initializer, RandomStreams
from openfm.fm.trainer import initial_machine


def mxnet_normals(count: int, seed: int) -> np.ndarray:
    """MXNet's normals as NumPy can draw them: 1024 engines, the polar method, one value of each pair thrown away."""
    runs = min(-(-count // 64), 1024)
    step = -(-count // runs)
    values = []
    for run in range(runs):
        engine = np.random.RandomState(seed + run)
        for _ in range(min(step, count - run * step)):
            while True:
                u = engine.randint(0, 2**32, 2, dtype=np.uint64).astype(np.float32) / np.float32(2**32)
                x, y = np.float32(2) * u - np.float32(1)
                r2 = x * x + y * y
                if 0 < r2 <= 1:
                    break
            values.append(y * np.sqrt(np.float32(-2) * np.float32(np.log(np.float64(r2))) / r2))
    return np.array(values, dtype=np.float32)


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (64, 0), (65, 0), (1000, 0), (1000, 3)])
def test_normals_are_mxnets(count, seed):
    drawn = RandomStreams(seed).draw(Initializer("normal", 1.0), (count,))
    np.testing.assert_array_equal(drawn, mxnet_normals(count, seed))


def test_streams_go_on_from_draw_to_draw():
    streams = RandomStreams()
    first, second = (streams.draw(Initializer("normal", 1.0), (64,)) for _ in range(2))
    np.testing.assert_array_equal(np.concatenate([first, second]), mxnet_normals_of_one_engine(128))


def mxnet_normals_of_one_engine(count: int) -> np.ndarray:
    streams = RandomStreams()
    return np.concatenate([streams.draw(Initializer("normal", 1.0), (1,)) for _ in range(count)])


def test_first_values_as_mxnet_logs_them():
    # mx.nd.random.normal(0, 1, shape=(5,)) of MXNet 1.9.1, not seeded
    expected = [2.2122063636779785, 0.774003803730011, 1.043440341949463, 1.1839255094528198, 1.8917113542556763]
    assert RandomStreams().draw(Initializer("normal", 1.0), (5,)).tolist() == expected


def test_uniform_is_symmetric_and_scaled():
    drawn = RandomStreams().draw(Initializer("uniform", 0.5), (40, 50))
    assert drawn.shape == (40, 50)
    assert drawn.min() >= -0.5
    assert drawn.max() < 0.5
    assert abs(drawn.mean()) < 0.02
    first = np.random.RandomState(0).randint(0, 2**32, dtype=np.uint64)
    assert drawn[0, 0] == np.float32(-0.5) + np.float32(first) / np.float32(2**32)


def test_constant_draws_nothing():
    streams = RandomStreams()
    assert streams.draw(Initializer("constant", 0.25), (2, 3)).tolist() == [[0.25] * 3] * 2
    after = streams.draw(Initializer("normal", 1.0), (3,))
    np.testing.assert_array_equal(after, RandomStreams().draw(Initializer("normal", 1.0), (3,)))


def test_initial_values_are_drawn_as_v_w0_w(make_settings):
    settings = make_settings()
    streams = RandomStreams()
    machine = initial_machine(settings)
    np.testing.assert_array_equal(machine.factors, streams.draw(settings.factors.initializer, (37, 5)))
    assert machine.bias == streams.draw(settings.bias.initializer, (1,))[0]
    np.testing.assert_array_equal(machine.linear, streams.draw(settings.linear.initializer, (37,)))


def test_what_is_left_out_draws_nothing(make_settings):
    settings = make_settings(use_bias=False)
    streams = RandomStreams()
    machine = initial_machine(settings)
    np.testing.assert_array_equal(machine.factors, streams.draw(settings.factors.initializer, (37, 5)))
    np.testing.assert_array_equal(machine.linear, streams.draw(settings.linear.initializer, (37,)))


def test_initial_bias_of_the_movielens_job(make_settings):
    # Amazon's container started the public run tests/golden/amazon_ml100k_u1_regressor.json from this bias.
    settings = make_settings(
        feature_dim=2625,
        num_factors=64,
        factors=make_settings().factors,
    )
    assert initial_machine(settings).bias == pytest.approx(0.00305586, abs=5e-9)


def test_a_seed_shifts_the_streams():
    shifted = RandomStreams(1).draw(Initializer("normal", 1.0), (64,))
    plain = RandomStreams(0).draw(Initializer("normal", 1.0), (128,))
    np.testing.assert_array_equal(shifted, plain[64:])
