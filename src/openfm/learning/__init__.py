"""Training in memory, with defaults that learn: what the estimators and the command line share.

==============  ================================================================================
``fitting``     :func:`fit`: from examples and settings to a :class:`Fitted`
``settings``    :class:`LearningSettings`: how to learn; our own way, and Amazon's as a preset
``defaults``    what is taken where a setting is not given, by how much there is to learn from
``examples``    :class:`Examples`: rows, labels, weights; held-out parts; equal rows merged
``reports``     :class:`Progress` within an epoch, :class:`EpochReport` after it
``learner``     :class:`Learner`: one epoch after the other on one trainer
``scaling``     features and labels of any size, and parameters back in their units
``members``     machines that learn alone and score together
``averaging``   the mean of the last epochs' parameters
``watching``    the loss on held-out examples, and the best epoch
==============  ================================================================================

The container's jobs do not come here: they train as Amazon's container does (:mod:`openfm.training`).
"""

from __future__ import annotations

from openfm.learning.defaults import Extent
from openfm.learning.examples import Examples
from openfm.learning.fitting import Fitted, fit
from openfm.learning.learner import Learner
from openfm.learning.reports import EpochReport, Event, Progress
from openfm.learning.settings import LearningSettings

__all__ = ["EpochReport", "Event", "Examples", "Extent", "Fitted", "Learner", "LearningSettings", "Progress", "fit"]
