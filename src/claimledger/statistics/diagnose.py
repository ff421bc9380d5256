"""Design diagnosis: what the registered procedure says, over many simulated experiments.

Every simulated experiment is analysed by `batch` and judged by the rule of `decision`, the one that
judges the real data. The vocabulary is that of DeclareDesign (Blair, Cooper, Coppock and Humphreys
2019).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.statistics.batch import Analysis, Batch
from claimledger.statistics.decision import Decision, decide, verdict_name
from claimledger.statistics.tally import Tally, proportion, run, summarise, tally

_WHERE = "statistics.diagnose"


@dataclass(frozen=True)
class Diagnosis:
    """Result of a diagnosis; a column `<name>_mcse` is the Monte Carlo standard error of <name>.

    analyses : one row an analysis: family, n, df, and the quantities of `tally.summarise`.
    verdicts : id, verdict, rate: one row an analysis and verdict.
    families : family-wise error rate: the share of experiments in which a true null of the family
        was rejected. Only families with a true null; empty where no truth was given.
    supported_any : by family, (rate, mcse) of experiments in which at least one of its hypotheses
        came out supported; the key `any` is for all families together.
    """

    analyses: pd.DataFrame
    verdicts: pd.DataFrame
    families: pd.DataFrame
    supported_any: dict[str, tuple[float, float]]


def diagnose(
    analyses: Sequence[Analysis],
    draw: Callable[[np.random.Generator, int], np.ndarray],
    simulations: int,
    seed: int,
    chunk: int = 50,
    *,
    truth: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Diagnosis:
    """Simulate experiments, analyse and judge each, and summarise; see `tally.run`.

    Parameters
    ----------
    draw : draw(rng, simulations) -> outcomes (simulations, outcomes, n), as `Batch.estimate` takes.
    truth : true value of each analysis, by id, in the units of its outcome.
    """
    batch = Batch(analyses)
    if truth is not None and set(truth) != set(batch.ids):
        raise LedgerError(
            f"{_WHERE}.diagnose",
            found=f"the truth of {', '.join(truth)}",
            expected="the truth of every analysis or of none",
            mend=f"give a truth for each of {', '.join(batch.ids)}",
        )
    true = None if truth is None else np.array([truth[a.id] for a in batch.analyses], dtype=float)
    job = partial(_one_chunk, batch, draw, true, alpha)
    sums = run(job, simulations, seed, chunk=chunk, workers=workers, progress=progress)
    return _summarise(batch.analyses, sums, true)


def _one_chunk(batch: Batch, draw, true, alpha, seed: np.random.SeedSequence, size: int) -> Tally:
    Y = np.asarray(draw(np.random.default_rng(seed), size))
    if len(Y) != size:
        raise LedgerError(
            f"{_WHERE}: draw",
            found=f"{len(Y)} experiments",
            expected=f"{size}, as asked",
            mend="return outcomes of shape (simulations, outcomes, n)",
        )
    estimates, ses, sds = batch.estimate(Y)
    dfs = np.array([a.df for a in batch.analyses], dtype=float)
    decision = decide_families(estimates, ses, dfs, sds, batch.analyses, alpha)
    sums = tally(estimates, ses, dfs, decision, true, alpha)
    null = np.zeros(len(batch.analyses), dtype=bool) if true is None else true == 0
    rejected = (decision.p_adjusted < alpha) & null
    supported = decision.verdict == 0
    groups = _groups(batch.analyses)
    sums["false"] = np.array([rejected[:, at].any(axis=1).sum() for at in groups.values()])
    any_of = [*groups.values(), list(range(len(null)))]
    sums["supported"] = np.array([supported[:, at].any(axis=1).sum() for at in any_of])
    return sums


def _groups(analyses: Sequence[Analysis]) -> dict[str, list[int]]:
    """Positions of the members of each family."""
    families: dict[str, list[int]] = {}
    for position, a in enumerate(analyses):
        families.setdefault(a.family, []).append(position)
    return families


def decide_families(
    estimates, ses, dfs, sds, analyses: Sequence[Analysis], alpha: float = 0.05
) -> Decision:
    """Decide each family by the rule of `decision`; arrays (..., analyses), in their order."""
    estimates, ses, dfs, sds = np.broadcast_arrays(*map(np.asarray, (estimates, ses, dfs, sds)))
    out = Decision(
        *(np.empty(estimates.shape) for _ in range(4)),
        *(np.empty(estimates.shape, dtype=int) for _ in range(2)),
    )
    for family, at in _groups(analyses).items():
        corrections = {analyses[i].correction for i in at}
        if len(corrections) > 1:
            raise LedgerError(
                f"{_WHERE}: family {family}",
                found=f"corrections {', '.join(sorted(corrections))}",
                expected="one correction for all members",
                mend="register one correction for the family",
            )
        sesoi = np.array([analyses[i].sesoi_sd for i in at], dtype=float)  # None becomes NaN
        directions = np.array([analyses[i].direction for i in at])
        part = decide(
            estimates[..., at],
            ses[..., at],
            dfs[..., at],
            sesoi * sds[..., at],
            directions,
            alpha,
            corrections.pop(),
        )
        for name in vars(out):
            getattr(out, name)[..., at] = getattr(part, name)
    return out


def _summarise(analyses, sums: Tally, true) -> Diagnosis:
    table = pd.DataFrame(
        {
            "family": [a.family for a in analyses],
            "n": [len(a.design) for a in analyses],
            "df": [float(a.df) for a in analyses],
        },
        index=pd.Index([a.id for a in analyses], name="id"),
    )
    if true is not None:
        table["truth"] = true
    n, rows = int(sums["simulations"]), []
    for name, pair in summarise(sums, true).items():
        if name.startswith("verdict_"):
            code = int(name.removeprefix("verdict_"))
            rows += [
                (a.id, verdict_name(code, a.direction), float(rate), float(mcse))
                for a, rate, mcse in zip(analyses, *pair, strict=True)
            ]
        else:
            table[name], table[f"{name}_mcse"] = pair
    groups = _groups(analyses)
    errors = []
    for (family, at), hits in zip(groups.items(), sums["false"], strict=True):
        nulls = 0 if true is None else int(np.sum(true[at] == 0))
        if nulls:
            errors.append((family, len(at), nulls, *map(float, proportion(hits, n))))
    shares = [tuple(map(float, proportion(hits, n))) for hits in sums["supported"]]
    return Diagnosis(
        table,
        pd.DataFrame(rows, columns=["id", "verdict", "rate", "rate_mcse"]),
        pd.DataFrame(errors, columns=["family", "tests", "true_nulls", "fwer", "fwer_mcse"]),
        dict(zip([*groups, "any"], shares, strict=True)),
    )
