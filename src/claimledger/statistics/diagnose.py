"""Design diagnosis: what the registered procedure says, over many simulated experiments.

Every simulated experiment is analysed by `batch` and judged by the rule of `decision`, the one that
judges the real data. The vocabulary is that of DeclareDesign (Blair, Cooper, Coppock and Humphreys
2019).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import special, stats

from claimledger.errors import LedgerError
from claimledger.statistics.batch import Analysis, Batch
from claimledger.statistics.decision import Decision, decide, verdict_name
from claimledger.statistics.equivalence import check_alpha, check_estimates, t_upper

_WHERE = "statistics.diagnose"


@dataclass(frozen=True)
class Diagnosis:
    """Result of a diagnosis; a column `<name>_mcse` is the Monte Carlo standard error of <name>.

    analyses : one row an analysis: family, n, df, mean of the estimates and of their standard
        errors, sd of the estimates; power (significant after correction), equivalence (shown after
        correction); and where the truth was given truth, bias, rmse, coverage (of the unadjusted
        interval), type_s and type_m among the significant (missing where none was significant or
        the truth is zero).
    verdicts : id, verdict, rate: one row an analysis and verdict.
    families : family-wise error rate: the share of experiments in which a true null of the family
        was rejected. Only families with a true null; empty where no truth was given.
    estimates, ses, codes : (simulations, analyses), from which the rest is computed.
    """

    analyses: pd.DataFrame
    verdicts: pd.DataFrame
    families: pd.DataFrame
    estimates: np.ndarray
    ses: np.ndarray
    codes: np.ndarray


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
    """Simulate experiments, analyse and judge each, and summarise.

    Parameters
    ----------
    draw : draw(rng, simulations) -> outcomes (simulations, outcomes, n), as `Batch.estimate` takes.
    chunk : experiments drawn at a time; it bounds the memory. Each chunk has its own seed, spawned
        from `seed`: the result depends on `chunk` but not on `workers`.
    truth : true value of each analysis, by id, in the units of its outcome.
    workers : processes of joblib (an enclosing `joblib.parallel_config` names the backend).
    progress : called with the number of experiments done and their total.
    """
    batch = Batch(analyses)
    if simulations < 2 or chunk < 1 or (truth is not None and set(truth) != set(batch.ids)):
        raise LedgerError(
            f"{_WHERE}.diagnose",
            found=f"{simulations} simulations in chunks of {chunk}, truth {truth and list(truth)}",
            expected="two simulations or more, and the truth of every analysis or of none",
            mend=f"give a truth for each of {', '.join(batch.ids)}",
        )
    sizes = [min(chunk, simulations - start) for start in range(0, simulations, chunk)]
    jobs = zip(np.random.SeedSequence(seed).spawn(len(sizes)), sizes, strict=True)
    if workers == 1:
        done = (_one_chunk(batch, draw, *job) for job in jobs)
    else:
        done = Parallel(n_jobs=workers, return_as="generator")(
            delayed(_one_chunk)(batch, draw, *job) for job in jobs
        )
    parts: list[tuple] = []
    for part in done:
        parts.append(part)
        if progress is not None:
            progress(sum(len(p[0]) for p in parts), simulations)
    estimates, ses, sds = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return _summarise(batch.analyses, estimates, ses, sds, truth, alpha)


def _one_chunk(batch: Batch, draw, seed: np.random.SeedSequence, size: int) -> tuple:
    Y = np.asarray(draw(np.random.default_rng(seed), size))
    if len(Y) != size:
        raise LedgerError(
            f"{_WHERE}: draw",
            found=f"{len(Y)} experiments",
            expected=f"{size}, as asked",
            mend="return outcomes of shape (simulations, outcomes, n)",
        )
    return batch.estimate(Y)


def verdicts(estimates, ses, dfs, sds, analyses: Sequence[Analysis], alpha=0.05) -> np.ndarray:
    """Codes of the verdicts (..., analyses), each family judged by the rule of `decision`."""
    return _decide(estimates, ses, dfs, sds, analyses, alpha).verdict


def _decide(estimates, ses, dfs, sds, analyses: Sequence[Analysis], alpha: float) -> Decision:
    """Decide family by family, put back in the order of the analyses."""
    estimates, ses, dfs, sds = np.broadcast_arrays(*map(np.asarray, (estimates, ses, dfs, sds)))
    families: dict[str, list[int]] = {}
    for position, a in enumerate(analyses):
        families.setdefault(a.family, []).append(position)
    out = Decision(
        *(np.empty(estimates.shape) for _ in range(4)),
        *(np.empty(estimates.shape, dtype=int) for _ in range(2)),
    )
    for family, at in families.items():
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


def _proportion(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of experiments (first axis) and its Monte Carlo standard error."""
    rate = hits.mean(axis=0)
    return rate, np.sqrt(rate * (1 - rate) / len(hits))


def _average(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over experiments (first axis) and its Monte Carlo standard error."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


def _summarise(analyses, estimates, ses, sds, truth, alpha) -> Diagnosis:
    dfs = np.array([a.df for a in analyses], dtype=float)
    decision = _decide(estimates, ses, dfs, sds, analyses, alpha)
    significant = decision.p_adjusted < alpha
    columns = {
        "power": _proportion(significant),
        "equivalence": _proportion(decision.tost_p_adjusted < alpha),
        "mean_estimate": _average(estimates),
        "mean_se": _average(ses),
    }
    if truth is not None:
        true = np.array([truth[a.id] for a in analyses], dtype=float)
        error = estimates - true
        squared, squared_mcse = _average(error**2)
        rmse = np.sqrt(squared)
        columns["bias"] = _average(error)
        columns["rmse"] = rmse, squared_mcse / (2 * rmse)
        half = special.stdtrit(dfs, 1 - alpha / 2) * ses
        columns["coverage"] = _proportion(np.abs(error) <= half)
        columns |= _sign_and_magnitude(estimates, significant, true)
    table = pd.DataFrame(
        {
            "family": [a.family for a in analyses],
            "n": [len(a.design) for a in analyses],
            "df": dfs,
            "sd_estimate": estimates.std(axis=0, ddof=1),
        },
        index=pd.Index([a.id for a in analyses], name="id"),
    )
    if truth is not None:
        table["truth"] = true
    for name, (value, mcse) in columns.items():
        table[name], table[f"{name}_mcse"] = value, mcse
    families = _families(analyses, significant, None if truth is None else true)
    return Diagnosis(
        table, _rates(analyses, decision.verdict), families, estimates, ses, decision.verdict
    )


def _sign_and_magnitude(estimates, significant, true) -> dict[str, tuple]:
    """Type S and type M errors among the significant (Gelman and Carlin 2014), with MCSE."""
    results = {"type_s": [], "type_m": []}
    for estimate, chosen, value in zip(estimates.T, significant.T, true, strict=True):
        kept = estimate[chosen] / value if value != 0 else np.empty(0)
        enough = len(kept) > 1
        results["type_s"].append(_proportion(kept < 0) if enough else (np.nan, np.nan))
        results["type_m"].append(_average(np.abs(kept)) if enough else (np.nan, np.nan))
    return {name: tuple(np.array(pairs).T) for name, pairs in results.items()}


def _rates(analyses, codes) -> pd.DataFrame:
    """Rate of each verdict, one row an analysis and verdict."""
    rows = []
    for a, column in zip(analyses, codes.T, strict=True):
        for code in range(4):
            rate, mcse = _proportion(column == code)
            rows.append((a.id, verdict_name(code, a.direction), float(rate), float(mcse)))
    return pd.DataFrame(rows, columns=["id", "verdict", "rate", "rate_mcse"])


def _families(analyses, significant, true) -> pd.DataFrame:
    """Family-wise error rate of each family that holds a true null."""
    rows = []
    for family in dict.fromkeys(a.family for a in analyses):
        at = [i for i, a in enumerate(analyses) if a.family == family]
        null = [i for i in at if true is not None and true[i] == 0]
        if null:
            rate, mcse = _proportion(significant[:, null].any(axis=1))
            rows.append((family, len(at), len(null), float(rate), float(mcse)))
    return pd.DataFrame(rows, columns=["family", "tests", "true_nulls", "fwer", "fwer_mcse"])


class DesignErrors(NamedTuple):
    """Power, probability of the wrong sign, and expected exaggeration, given significance."""

    power: np.ndarray
    type_s: np.ndarray
    type_m: np.ndarray


def design_errors(effect, se, df=np.inf, alpha: float = 0.05) -> DesignErrors:
    """Type S and type M error of a two-sided t test, in closed form; all arguments broadcast.

    The model of Gelman and Carlin (2014): estimate = effect + se T with T a t variable of df
    degrees of freedom (infinite: normal), significant where |estimate| > se t(1 - alpha/2, df).
    type_m = E(|estimate| given significance) / |effect|, from the partial expectation of t,
    integral over t > a of t f(t) = (df + a^2) / (df - 1) f(a). An effect of 0 is an error: it has
    no sign to be wrong about. df must exceed 1.
    """
    effect, se, df = check_estimates(f"{_WHERE}.design_errors", effect, se, df)
    check_alpha(f"{_WHERE}.design_errors", alpha)
    if np.any(effect == 0) or np.any(df <= 1):
        raise LedgerError(
            f"{_WHERE}.design_errors",
            found="an effect of 0, or a single degree of freedom",
            expected="an effect other than 0 and more than one degree of freedom",
            mend="give the effect that the design should detect",
        )
    size, critical = np.abs(effect) / se, special.stdtrit(df, 1 - alpha / 2)
    right, wrong = t_upper(critical - size, df), t_upper(critical + size, df)
    tails = _partial(critical - size, df) + _partial(critical + size, df)
    power = right + wrong
    return DesignErrors(power, wrong / power, (size * (right - wrong) + tails) / (power * size))


def _partial(a, df) -> np.ndarray:
    """Integral of t f(t) over t > a."""
    finite = np.where(np.isinf(df), 2.0, df)
    return np.where(
        np.isinf(df), stats.norm.pdf(a), (finite + a * a) / (finite - 1) * stats.t.pdf(a, finite)
    )
