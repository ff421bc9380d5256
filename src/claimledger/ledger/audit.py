"""Whether what was run is what was registered."""

import re

import numpy as np

from claimledger.registration.models import Analysis
from claimledger.statistics.contrasts import Fitted


def differences(
    analysis: Analysis, fitted: Fitted, response: np.ndarray
) -> list[tuple[str, str, str]]:
    """(aspect, registered, run) wherever what was run is not what was registered.

    `response` is the registered outcome in the registered sample, computed apart from the fit:
    the fit's own outcome must hold the same values.
    """
    found = []
    if _plain(fitted.formula) != _plain(analysis.model):
        found.append(("model", analysis.model, fitted.formula))
    if fitted.vcov != analysis.vcov:
        found.append(("vcov", analysis.vcov, fitted.vcov))
    if fitted.weighted != analysis.weighted:
        words = {False: "none", True: "weighted"}
        found.append(("weights", words[analysis.weighted], words[fitted.weighted]))
    ran = np.asarray(fitted.fit.model.endog, dtype=float)
    if len(ran) != len(response):
        found.append(("sample", f"{len(response)} rows", f"{len(ran)} rows"))
    elif not np.allclose(np.sort(ran), np.sort(response)):
        found.append(("outcome", analysis.outcome or "response", "other values"))
    return found


def _plain(formula: str) -> str:
    return re.sub(r"\s+", "", formula)
