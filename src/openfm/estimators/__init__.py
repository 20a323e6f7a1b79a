"""scikit-learn estimators on openfm's core. They need the extra ``openfm[sklearn]``.

============== =================================================
``classifier``  :class:`FactorizationMachineClassifier`
``regressor``   :class:`FactorizationMachineRegressor`
``base``        what both share
``artifact``    what a model file keeps of an estimator
============== =================================================
"""

from __future__ import annotations

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("openfm's estimators need scikit-learn: pip install 'openfm[sklearn]'") from error

from openfm.estimators.classifier import FactorizationMachineClassifier
from openfm.estimators.regressor import FactorizationMachineRegressor

__all__ = ["FactorizationMachineClassifier", "FactorizationMachineRegressor"]
