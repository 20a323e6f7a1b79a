"""What ``docs/hosts.md`` says of many hosts is what the measurements that are kept say."""

from __future__ import annotations

import pytest

from benchmarks import results

BATCHES, RATES = (1000, 10_000), (1, 10, 25, 100)


@pytest.fixture(scope="module")
def speeds() -> dict[tuple[str, int, int], list[float]]:
    """Thousand records a second of 1, 2, 4, ... 64 hosts, by problem, records of each host and Gbit/s."""
    report, _ = results.load(results.FOLDER / "hosts.json")
    table = next(table for table in report.tables if "Gbit/s" in table.columns and "64" in table.columns)
    last = table.columns.index("64") + 1
    return {
        (str(name).partition(",")[0], int(str(batch)), int(str(rate))): [float(str(speed)) for speed in row[: last - 3]]
        for name, batch, rate, *row in table.rows
    }


def test_clicks_do_not_gain_by_a_second_host(speeds: dict[tuple[str, int, int], list[float]]) -> None:
    for batch in BATCHES:
        for rate in RATES:
            one, two, *_ = speeds["clicks", batch, rate]
            assert two < one
        one, *more = speeds["clicks", batch, 1]
        assert max(more) < one


def test_many_hosts_train_clicks_faster_than_one(speeds: dict[tuple[str, int, int], list[float]]) -> None:
    for rate in RATES[1:]:
        one, *_, most = speeds["clicks", 10_000, rate]
        assert one < most < 64 / 4 * one


def test_the_processor_is_the_bound_above_10_gbits(speeds: dict[tuple[str, int, int], list[float]]) -> None:
    for batch in BATCHES:
        for faster, fast in zip(speeds["clicks", batch, 100], speeds["clicks", batch, 25], strict=True):
            assert faster < 1.2 * fast


def test_mini_batches_decide_on_mnist(speeds: dict[tuple[str, int, int], list[float]]) -> None:
    for rate in RATES:
        one, two, *_ = speeds["MNIST", 1000, rate]
        assert two < 1.5 * one
        one, two, four, *_, most = speeds["MNIST", 10_000, rate]
        assert two > 1.25 * one
        assert four > 1.25 * two
        assert most < 64 / 2 * one  # latency is most of a step
