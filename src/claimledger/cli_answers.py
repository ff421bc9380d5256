"""Commands on promise and answers: freeze, amend, simulate, check, codebook, map, diagnose."""

from pathlib import Path
from typing import Annotated

import typer

from claimledger.cli import Mapping, _example, _shown, app
from claimledger.errors import LedgerError


@app.command(epilog=_example("claimledger simulate --world null --seed 1 --out null.csv"))
def simulate(
    out: Annotated[Path, typer.Option(help="The file to write; a manifest is written beside.")],
    world: Annotated[str, typer.Option(help="A world of data/simulation.yml.")] = "published",
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same bytes.")] = 1,
    n: Annotated[int | None, typer.Option(min=1, help="Respondents who stay after all "
                                          "exclusions; as registered by default.")] = None,
) -> None:
    """Write answers that no person gave, as the survey platform would export them."""
    from rich.console import Console
    from rich.progress import Progress

    from claimledger.files import Run
    from claimledger.survey.simulate import simulate_file

    run = Run.open()
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(f"world {world}", total=n)
        written = simulate_file(
            run.registration, world, out, seed, n, lambda k: bars.advance(bar, k)
        )
    print("simulated: " + ", ".join(map(str, written)))


@app.command(epilog=_example("claimledger check export.csv --html report.html"))
def check(
    export: Annotated[Path, typer.Argument(help="A survey platform's export.")],
    mapping: Mapping = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page, too.")] = None,
    background: Annotated[Path | None, typer.Option(
        help="Write the background variables, coarsened until no cell is small.")] = None,
) -> None:
    """Compare an export with the registration: every problem at once, with a way to mend it."""
    from claimledger.files import Run, write_atomic
    from claimledger.registration.load import load
    from claimledger.survey.check import examine, require
    from claimledger.survey.read import read_export
    from claimledger.survey.report import html_report

    registration = load(Run.open().registration)
    read = read_export(export, registration, mapping)
    print(f"{export}: {read.form}; {len(read.cells):,} records")
    findings = examine(read, registration)
    if html:
        print(f"report: {write_atomic(html, html_report(read, findings, registration))}")
    for problem in findings.problems:
        if problem.severity == "warning":
            print(f"warning: {problem}")
    require(export, findings.problems)
    print(f"{export}: as registered; the paper can be built")
    if background:
        from claimledger.survey.anonymity import coarsen, identifying_variables
        from claimledger.survey.recode import recode

        frame = recode(findings.kept, registration)
        coarse = coarsen(frame, identifying_variables(registration))
        print(f"background: {write_atomic(background, coarse.to_csv(index=False))}")


@app.command(epilog=_example("claimledger codebook --out build/codebook"))
def codebook(
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("build/codebook"),
) -> None:
    """Write codebook, instrument and a survey to import, all from the registration."""
    from claimledger.files import Run, write_atomic
    from claimledger.registration import codebook as book
    from claimledger.registration.ddi import ddi_codebook
    from claimledger.registration.load import load
    from claimledger.registration.platform import import_file, steps

    registration = load(Run.open().registration)
    made = {
        "codebook.html": book.codebook_page(registration),
        "codebook.csv": book.codebook_table(registration).to_csv(index=False),
        "codebook.ddi.xml": ddi_codebook(registration),
        "survey.txt": import_file(registration), "survey-steps.md": steps(registration),
    }
    for name, content in made.items():
        print(_shown(write_atomic((out / name).resolve(), content)))


@app.command("map", epilog=_example("claimledger map export.csv --qsf survey.qsf"))
def map_(
    export: Annotated[Path, typer.Argument(help="A survey platform's export.")],
    qsf: Annotated[Path | None, typer.Option(help="The survey's definition.")] = None,
    out: Annotated[Path, typer.Option(help="The mapping to write.")] = Path("mapping.yml"),
) -> None:
    """Start the mapping of an export's names and codes; what is not certain is left to finish."""
    from claimledger.files import Run, write_atomic
    from claimledger.registration.load import load
    from claimledger.survey.draft import draft, write_draft

    if out.exists():
        raise LedgerError(out, found="a file of that name", expected="none: it may hold your work",
                          mend="name another with --out, or remove it")
    made, table = draft(export, load(Run.open().registration), qsf)
    write_atomic(out, write_draft(made, export, table.form))
    print(f"{export}: {table.form}; {len(table.cells):,} records")
    print(f"{_shown(out.resolve())}: {made.open} to finish, marked `?`")


@app.command(epilog=_example("claimledger diagnose --sizes 500,1502 --effects 0,0.1,0.2"))
def diagnose(
    sizes: Annotated[str | None, typer.Option(help="Sample sizes, with commas between.")] = None,
    effects: Annotated[str | None, typer.Option(help="Effects in SD, as registered.")] = None,
    covariates: Annotated[str, typer.Option(help="none, or lin: adjusted for all.")] = "none",
    weights: Annotated[str, typer.Option(help="none, or raked to the margins.")] = "none",
    simulations: Annotated[int, typer.Option(min=2, help="Experiments of each size.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same answer.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="A Dask scheduler's address.")] = None,
    out: Annotated[Path, typer.Option(help="All results, as JSON.")] = Path("build/diagnosis.json"),
) -> None:
    """Run the registered analysis on simulated experiments over sample sizes and effects.

    With covariates or weights, one simulated survey of each size is held fixed but for its answers.
    """
    import os
    from contextlib import nullcontext

    from rich.console import Console
    from rich.progress import Progress

    # Threads of the matrix library fight over small matrices; set before it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from claimledger.files import Run, write_atomic
    from claimledger.ledger.entry import dump
    from claimledger.registration.load import load
    from claimledger.statistics import power
    from claimledger.statistics.tally import dask_cluster
    from claimledger.survey.world import FILE, load_simulation

    run = Run.open()
    registration = load(run.registration)
    simulation = load_simulation(run.root / FILE, registration)
    grid = {
        "sizes": power.numbers(sizes) if sizes else None,
        "effects": power.numbers(effects) if effects else None,
    }
    console = Console(stderr=True)
    place = dask_cluster(scheduler) if scheduler else nullcontext()
    with place, Progress(console=console, transient=True) as bars:
        bar = bars.add_task("experiments", total=None)
        found = power.power_grid(
            registration, simulation, **grid, simulations=simulations, seed=seed,
            workers=-1 if scheduler else workers, root=run.root, covariates=covariates,
            weights=weights,
            progress=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    for table in power.tables(found):
        print(table)
    print(f"diagnosis: {_shown(write_atomic(Path.cwd() / out, dump(found.as_json(registration))))}")


@app.command(epilog=_example("claimledger freeze"))
def freeze() -> None:
    """Freeze the registration: write its SHA-256 and today's date beside it."""
    from datetime import date

    from claimledger.files import Run
    from claimledger.registration import lock
    from claimledger.registration.load import load

    run = Run.open()
    load(run.registration)
    print(f"frozen: {_shown(lock.freeze(run.registration, date.today()))}")


@app.command(epilog=_example('claimledger amend --what "H4 added" --why "asked for by a reviewer"'))
def amend(
    what: Annotated[str, typer.Option(help="What was changed in the registration.")],
    why: Annotated[str, typer.Option(help="The reason.")],
) -> None:
    """Declare a change of the frozen registration, with its reason and today's date."""
    from datetime import date

    from claimledger.files import Run
    from claimledger.registration import lock
    from claimledger.registration.load import load

    run = Run.open()
    load(run.registration)
    print(f"amended: {_shown(lock.amend(run.registration, what, why, date.today()))}")
