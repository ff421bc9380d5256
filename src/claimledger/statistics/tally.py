"""What a diagnosis keeps of its experiments: sums only, so that memory does not grow with them.

A tally is a dictionary of sums over experiments. Tallies of chunks are added in the order of the
chunks, so that the result does not depend on who computed them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from joblib import Parallel, delayed, parallel_config
from scipy import special

from claimledger.errors import LedgerError
from claimledger.statistics.decision import Decision

Tally = dict[str, np.ndarray]
ROUND = 32  # chunks handed out at a time: bounds the memory, whatever the number of simulations


def tally(estimate, se, df, decision: Decision, truth=None, alpha: float = 0.05) -> Tally:
    """Sums over experiments (first axis) of what `summarise` needs.

    estimate, se, df : (simulations, ...). decision : of the same shape. truth : (...) true values,
    or None where they are not known. Estimates are summed as deviations from the truth.
    """
    significant = decision.p_adjusted < alpha
    error = estimate - (0.0 if truth is None else truth)
    kept: Tally = {
        "simulations": np.array(len(estimate)),
        "error": error, "error_2": error**2, "se": se, "se_2": se**2,
        "power": significant, "equivalence": decision.tost_p_adjusted < alpha,
    }  # fmt: skip
    kept |= {f"verdict_{code}": decision.verdict == code for code in range(4)}
    if truth is not None:
        half = special.stdtrit(df, 1 - alpha / 2) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(significant & (truth != 0), estimate / truth, 0.0)
        kept |= {
            "error_4": error**4, "coverage": np.abs(error) <= half,
            "wrong_sign": ratio < 0, "exaggeration": np.abs(ratio), "exaggeration_2": ratio**2,
        }  # fmt: skip
    return {k: v if k == "simulations" else v.sum(axis=0) for k, v in kept.items()}


def add(one: Tally, other: Tally) -> Tally:
    """The tally of both sets of experiments."""
    return {name: one[name] + other[name] for name in one}


def proportion(hits, n) -> tuple[np.ndarray, np.ndarray]:
    """Share of experiments, and its Monte Carlo standard error."""
    rate = hits / n
    return rate, np.sqrt(rate * (1 - rate) / n)


def average(total, squares, n) -> tuple[np.ndarray, np.ndarray]:
    """Mean over experiments, and its Monte Carlo standard error."""
    mean = total / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0) / np.maximum(n - 1, 1))


def summarise(sums: Tally, truth=None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each quantity with its Monte Carlo standard error.

    power (significant after correction), equivalence (shown after correction), mean_se, the rate
    of each verdict by its code; and where the truth is given bias, rmse, coverage (of the
    unadjusted interval), type_s and type_m (Gelman and Carlin 2014): among the significant, the
    share of the wrong sign and the mean of |estimate / truth|; missing where the truth is zero or
    fewer than two were significant.
    """
    n = int(sums["simulations"])
    found = {
        "power": proportion(sums["power"], n),
        "equivalence": proportion(sums["equivalence"], n),
        "mean_se": average(sums["se"], sums["se_2"], n),
    }
    found |= {f"verdict_{code}": proportion(sums[f"verdict_{code}"], n) for code in range(4)}
    if truth is None:
        return found
    rmse = np.sqrt(sums["error_2"] / n)
    _, squared_mcse = average(sums["error_2"], sums["error_4"], n)
    with np.errstate(divide="ignore", invalid="ignore"):
        found |= {
            "bias": average(sums["error"], sums["error_2"], n),
            "rmse": (rmse, squared_mcse / (2 * rmse)),
            "coverage": proportion(sums["coverage"], n),
        }
        hits = sums["power"].astype(float)
        enough = (hits > 1) & (np.asarray(truth) != 0)
        for name, pair in {
            "type_s": proportion(sums["wrong_sign"], hits),
            "type_m": average(sums["exaggeration"], sums["exaggeration_2"], hits),
        }.items():
            found[name] = tuple(np.where(enough, value, np.nan) for value in pair)
    return found


def run(
    job: Callable[[np.random.SeedSequence, int], Tally], simulations: int, seed, *, chunk: int = 50,
    workers: int = 1, progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Run `job(seed, size)` on chunks of experiments and add the tallies, in order.

    Each chunk has its own seed, spawned from `seed`: the result depends on `chunk`, not on
    `workers`. An enclosing `joblib.parallel_config` names another backend, such as Dask.
    progress : called with the number of experiments done and their total.
    """
    if simulations < 2 or chunk < 1:
        raise LedgerError(
            "statistics.tally.run", found=f"{simulations} simulations in chunks of {chunk}",
            expected="two simulations or more, in chunks of one or more",
            mend="ask for more simulations",
        )
    root, total, done = np.random.SeedSequence(seed), None, 0
    many = None if workers == 1 else Parallel(n_jobs=workers)
    while done < simulations:
        left = simulations - done
        sizes = [min(chunk, left - at) for at in range(0, min(left, chunk * ROUND), chunk)]
        jobs = list(zip(root.spawn(len(sizes)), sizes, strict=True))
        parts = (job(*one) for one in jobs) if many is None else many(
            delayed(job)(*one) for one in jobs
        )
        for part in parts:
            total = part if total is None else add(total, part)
            done += int(part["simulations"])
            if progress is not None:
                progress(done, simulations)
    return total


@contextmanager
def dask_cluster(address: str) -> Iterator[None]:
    """Send the chunks of every `run` within to the workers of a Dask scheduler.

    address : such as `tcp://host:8786`. The workers need this package. LedgerError where Dask is
    not installed or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise LedgerError(
            "scheduler", found="Dask is not installed", expected="the package distributed",
            mend='pip install "claimledger[dask]", or leave --scheduler out',
        ) from None
    try:
        client = Client(address, timeout=5)
    except (OSError, ValueError) as error:
        raise LedgerError(
            f"scheduler {address}", found=str(error).splitlines()[0],
            expected="a Dask scheduler that answers",
            mend="start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
        ) from None
    with client, parallel_config(backend="dask", client=client):
        yield
