from __future__ import annotations

import pytest

from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.training.early_stopping import EarlyStopping


def machine(bias):
    return FactorizationMachine(bias, [0.0], [[0.0]], PredictorType.REGRESSOR)


@pytest.mark.parametrize(
    ("patience", "tolerance", "losses", "best", "epochs"),
    [
        (1, 0.0, [3.0, 2.0, 2.5, 1.0], 1, 3),
        (2, 0.0, [3.0, 2.0, 2.5, 1.0], 3, 4),
        (1, 0.0, [3.0, 3.0], 0, 2),
        (1, 0.5, [3.0, 2.6, 1.0], 0, 2),
        (3, 0.5, [3.0, 1.6, 1.4], 2, 3),
        (1, 0.0, [float("inf"), 1.0, 0.5], 2, 3),
    ],
)
def test_stops_at_the_end_of_its_patience_and_keeps_the_best(patience, tolerance, losses, best, epochs):
    watch = EarlyStopping(patience, tolerance)
    seen = 0
    for epoch, loss in enumerate(losses):
        # As a job that is killed after each epoch and goes on.
        state = watch.state()
        if watch.best_machine is not None:
            again = EarlyStopping(patience, tolerance)
            again.restore(state, watch.best_machine)
            watch = again
        watch.add(epoch, loss, machine(epoch))
        seen += 1
        if watch.is_over:
            break
    assert seen == epochs
    assert watch.best_epoch == best
    assert watch.best_machine.bias == best
