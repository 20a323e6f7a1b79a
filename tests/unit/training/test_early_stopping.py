from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from openfm.training.early_stopping import BestEpoch, EarlyStopping


def parameters(bias):
    return bias, np.zeros(1, dtype=np.float32), np.zeros((1, 1), dtype=np.float32)


@pytest.mark.parametrize(
    ("patience", "tolerance", "losses", "best", "epochs"),
    [
        (1, 0.0, [3.0, 2.0, 2.5, 1.0], 1, 3),
        (2, 0.0, [3.0, 2.0, 2.5, 1.0], 3, 4),
        (1, 0.0, [3.0, 3.0], 0, 2),
        (1, 0.5, [3.0, 2.6, 1.0], 0, 2),
        (3, 0.5, [3.0, 1.6, 1.4], 2, 3),
    ],
)
def test_stops_at_the_end_of_its_patience_and_keeps_the_best(patience, tolerance, losses, best, epochs):
    watch = EarlyStopping(patience, tolerance)
    seen = 0
    for epoch, loss in enumerate(losses):
        if watch.best is not None:
            # As a job that is killed after each epoch and goes on.
            again = EarlyStopping(patience, tolerance)
            again.restore(BestEpoch.model_validate_json(watch.best.model_dump_json()), watch.parameters)
            watch = again
        watch.add(epoch, loss, partial(parameters, epoch))
        seen += 1
        if watch.is_over:
            break
    assert seen == epochs
    assert watch.best.epoch == best
    assert watch.parameters[0] == best


def test_parameters_are_copied_only_when_they_are_the_best():
    watch = EarlyStopping(3, 0.0)
    copied = []
    for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.0, 1.0, 1.5]):
        watch.add(epoch, loss, lambda epoch=epoch: copied.append(epoch) or parameters(epoch))
    assert copied == [0, 1, 4]
    assert watch.parameters[0] == 4
