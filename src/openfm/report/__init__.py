"""A report on a model: one HTML page that holds all it needs, for the browser, the archive or a mail.

=================  =====================================================================
``page``           :func:`report_page`: what is known, as HTML
``classifier``     what is shown of a binary classifier's scores
``regressor``      what is shown of a regressor's
``model_section``  the largest weights, the strongest pairs, the hyperparameters
``data_section``   the records that were scored
``history``        learning curves, from ``metrics.jsonl``
``curves``         the numbers behind the charts
``chart``          charts: from numbers to places on a drawing
``templates``      the page, the drawings and the style
=================  =====================================================================
"""

from __future__ import annotations

from openfm.report.page import TestData, report_page

__all__ = ["TestData", "report_page"]
