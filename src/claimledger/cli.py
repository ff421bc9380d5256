"""The command line: each command imports what it needs when it runs, so that all start fast."""

import re
import signal
import sys
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from claimledger.errors import LedgerError, no_room

app = typer.Typer(
    name="claimledger", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]},
    help="Papers whose numbers and verdicts are bound to a ledger of results.")

Data = Annotated[Path | None, typer.Option("--data", help="Another export than that of record.")]
Mapping = Annotated[Path | None, typer.Option(help="How the export's columns map to the items.")]
World = Annotated[str | None, typer.Option(help="Simulate this world, and use its answers.")]
External = Annotated[list[str] | None, typer.Option(
    "--external", metavar="NAME=FILE", help="Where the data of another study lie.")]


def _version(asked: bool) -> None:
    if asked:
        import claimledger

        print(f"claimledger {claimledger.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a person's mistake ends with status 1 and without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter gets its number
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="claimledger")
    except (LedgerError, OSError) as error:
        _show(error if isinstance(error, LedgerError) else no_room(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:  # as typer ends it
            raise KeyboardInterrupt from None
        raise


def _show(error: LedgerError) -> None:
    said = re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", lambda c: f"\\x{ord(c[0]):02x}", str(error))
    head, _, rest = said.partition("\n")  # what a file holds cannot steer the terminal
    bold = typer.style("Error ", fg="red", bold=True) + typer.style(head, bold=True)
    typer.echo(bold + f"\n{rest}" * bool(rest), file=sys.stderr)


def _example(text: str) -> str:
    return f"Example:  [bold]{text}[/bold]"


def _asked(text: str) -> typer.models.OptionInfo:
    return typer.Option(prompt=text, help=f"{text}.")


@app.command(epilog=_example("claimledger build --notebook 05_h3_moderators"))
def build(
    notebook: Annotated[str | None, typer.Option(help="Only this one, not the ledger.")] = None,
    data: Data = None, mapping: Mapping = None,
    world: World = None, external: External = None,
    for_quarto: Annotated[bool, typer.Option(help="As the first step of `quarto render`.")] = False,
) -> None:
    """Run the notebooks whose inputs changed, and bring the ledger up to date."""
    from claimledger.pipeline import build as paper

    start = monotonic()
    run = paper.open_run(data=data, mapping=mapping, world=world, external=external)
    if for_quarto:
        from claimledger.rendering.quarto import before

        with before(run):
            paper.check_profiles(run.root)
            ran = paper.build(run, prose=True)
    else:
        ran = paper.build(run, only=notebook, world=world)
    made = f"notebook {notebook}:" if notebook else f"ledger: {_shown(run.ledger)},"
    print(f"{made} {_how(ran)} ({monotonic() - start:.1f} s)")


@app.command(epilog=_example("claimledger render --world null --formats html,pdf"))
def render(
    formats: Annotated[str, typer.Option(help="Some of these.")] = "html,pdf,docx,jats",
    data: Data = None, mapping: Mapping = None,
    world: World = None, external: External = None,
) -> None:
    """Bring the ledger up to date, and render the paper from it."""
    from claimledger.pipeline import build as paper

    start = monotonic()
    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    run = paper.open_run(data=data, mapping=mapping, world=world, external=external)
    renderer, ran = paper.build_paper(run, wanted, world=world)
    print(f"paper: {_how(ran)}, rendered by {renderer} ({monotonic() - start:.1f} s)")
    for name, file in paper.FILES.items():
        if name in wanted:
            print(f"  {name.upper():<5} {_shown(run.output / file)}")


@app.command(epilog=_example("claimledger preview"))
def preview(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine; 0: any.")] = 4848,
) -> None:
    """Show the page in a browser, and make it anew at each change of a source."""
    from claimledger.pipeline import build as paper
    from claimledger.pipeline.preview import preview as show

    show(paper.open_run(), port)


@app.command(epilog=_example("claimledger review"))
def review() -> None:
    """Render the paper without a word of who wrote it, and search every byte for the names."""
    from claimledger.pipeline import build as paper
    from claimledger.progress import Progress
    from claimledger.replication.archive import render_review

    run, progress = paper.open_run(), Progress()
    paper.build(run, progress=progress)
    files, names = render_review(run, progress=lambda name: progress.say(f"review: {name}"))
    print(f"for review: {len(files)} files in {_shown(run.base / 'review')}; "
          f"none of {len(names)} names is in them")


@app.command(epilog=_example("claimledger new my-study --from survey.qsf"))
def new(
    folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
    design: Annotated[str, typer.Option(
        help="An invented study: two-arm, factorial, conjoint or within.")] = "two-arm",
    source: Annotated[Path | None, typer.Option(
        "--from", help="Draft the registration from this .qsf, .csv, .sav or .dta file.")] = None,
) -> None:
    """Write the folder of a new study: an invented one that builds, or a draft from a file."""
    from claimledger.start.folder import start

    files = start(folder, date.today(), design, source)
    if source is None:
        print(f"{len(files)} files in {folder}; its paper: cd {folder} && claimledger render")
        return
    from claimledger.yaml_files import Source

    marks = len(Source.read(folder / "registration.yml").open_marks())
    print(f"{len(files)} files in {folder}; in {folder / 'registration.yml'} replace {marks} "
          f"marks `?`, then: cd {folder} && claimledger freeze && claimledger render")


@app.command(epilog=_example("claimledger record NAME --external NAME=data.csv"))
def record(
    name: Annotated[str, typer.Argument(help="Another study that `_quarto.yml` names.")],
    external: External = None,
) -> None:
    """Run another study's notebook on its data, and keep what it finds for those without them."""
    import json

    from claimledger.ledger import external as others
    from claimledger.pipeline import build as paper

    run = paper.open_run(external=external)
    one = others.named(run, name)
    paper.build(run, only=one.notebook)
    fragment = json.loads((run.fragments / f"{one.notebook}.json").read_text(encoding="utf-8"))
    print(f"recorded: {_shown(others.keep(one, fragment, date.today()))}")


@app.command(epilog=_example("claimledger lint"))
def lint() -> None:
    """List typed numbers and verdict words, and tokens that do not resolve, in the prose."""
    from claimledger.pipeline import build as paper
    from claimledger.prose.lint import report

    run = paper.open_run()
    problems = paper.lint(run)
    print(report(problems) or "no problems")
    if problems:
        raise typer.Exit(1)


@app.command(epilog=_example("claimledger verify paper.html --with pandas==3.0.3"))
def verify(
    target: Annotated[Path | None, typer.Argument(
        help="A paper in HTML, PDF or DOCX, or a ledger.json; this project if none.")] = None,
    instead: Annotated[list[str] | None, typer.Option(
        "--with", help="Another version of a package, as in a scratch environment.")] = None,
) -> None:
    """Run the notebooks anew in a scratch folder, and compare all that was published with them.

    Claims are judged by tolerance; text, tables, figures, scripts and the head must be equal.
    Nothing in the published file is executed, and nothing of record is written.
    Ends with status 0 only if nothing differs.
    """
    from claimledger.pipeline import build as paper
    from claimledger.replication import report as reports
    from claimledger.replication.elsewhere import run_there
    from claimledger.replication.published import read_published

    run = paper.open_run()
    target = (target or run.root).absolute()  # a link that leads to itself is refused below
    published = read_published(target)
    if instead:
        raise typer.Exit(run_there(run.root, instead, ["verify", str(target)]))
    from claimledger.replication.verify import verify as compare

    found = compare(published, run)
    print(reports.text(found), end="")
    for path in reports.write(found, run.root / "build" / "verify"):
        print(f"  {_shown(path)}")
    if not found.survives:
        raise typer.Exit(1)


@app.command(epilog=_example("claimledger archive --out paper.zip"))
def archive(
    out: Annotated[Path | None, typer.Option(help="The zip; build/archive.zip by default.")] = None,
) -> None:
    """Bring the paper of record up to date, and pack everything for a data archive."""
    from claimledger.pipeline import build as paper
    from claimledger.replication.archive import archive as pack

    run = paper.open_run()
    paper.build_paper(run)
    path, contents = pack(run, (out or run.root / "build" / "archive.zip").resolve())
    for name in contents.withheld:
        print(f"left out, because not shown to be simulated: {name}")
    print(f"archive: {_shown(path)} ({path.stat().st_size / 1e6:.0f} MB)")


@app.command(epilog=_example("claimledger simulate --world null --seed 1 --out null.csv"))
def simulate(
    out: Annotated[Path, typer.Option(help="The file to write; a manifest is written beside.")],
    world: Annotated[str, typer.Option(help="A world of data/simulation.yml.")] = "published",
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same bytes.")] = 1,
    n: Annotated[int | None, typer.Option(min=1, help="Respondents who stay after all "
                                          "exclusions; as registered by default.")] = None,
) -> None:
    """Write answers that no person gave, as the survey platform would export them."""
    from claimledger.simulation.assumptions import FILE
    from claimledger.simulation.platform_file import export

    run = _run()
    written = export(out, run.registration, run.root / FILE, world, seed, n)
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
    from claimledger.errors import require, shown, warning_lines
    from claimledger.ledger.audit import dry_run
    from claimledger.project import write_atomic
    from claimledger.registration.loading import load
    from claimledger.survey.disclosure import coarsen, identifying_variables
    from claimledger.survey.loading import examine, html_report
    from claimledger.survey.reading import read_export

    run = _run()
    dry_run(run.registration)
    registration = load(run.registration)
    name = shown(export)
    read = read_export(export, registration, mapping)
    print(f"{name}: {read.form}; {len(read.columns):,} records")
    print(f"answers: {read.forms}")
    findings = examine(read, registration, run.root, whole=False)
    if html:
        print(f"report: {write_atomic(html, html_report(read, findings, registration))}")
    for line in warning_lines(findings.problems):
        print(f"warning: {line}")
    require(export, findings.problems)
    print(f"{name}: as registered; the paper can be built")
    if background:
        coarse = coarsen(findings.frame, identifying_variables(registration))
        print(f"background: {write_atomic(background, coarse.to_csv(index=False))}")


@app.command(epilog=_example("claimledger codebook --out build/codebook"))
def codebook(
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("build/codebook"),
) -> None:
    """Write codebook, instrument and a survey to import, all from the registration."""
    from claimledger.project import write_atomic
    from claimledger.registration.codebook import files
    from claimledger.registration.loading import load

    for name, content in files(load(_run().registration)).items():
        print(_shown(write_atomic((out / name).resolve(), content)))


@app.command("map", epilog=_example("claimledger map export.csv --qsf survey.qsf"))
def map_(
    export: Annotated[Path, typer.Argument(help="A survey platform's export.")],
    qsf: Annotated[Path | None, typer.Option(help="The survey's definition.")] = None,
    out: Annotated[Path, typer.Option(help="The mapping to write.")] = Path("mapping.yml"),
) -> None:
    """Start the mapping of an export's names and codes; what is not certain is left to finish."""
    from claimledger.errors import shown
    from claimledger.project import write_atomic
    from claimledger.registration.loading import load
    from claimledger.survey.mapping_draft import draft, write_draft

    if out.exists():
        raise LedgerError(out, found="a file of that name", expected="none: it may hold your work",
                          mend="name another with --out, or remove it")
    made, table = draft(export, load(_run().registration), qsf)
    write_atomic(out, write_draft(made, export, table.form))
    print(f"{shown(export)}: {table.form}; {len(table.cells):,} records")
    print(f"{_shown(out.resolve())}: {made.open} to finish, marked `?`")


@app.command(epilog=_example("claimledger diagnose --sizes 500,1502 --effects 0,0.1,0.2"))
def diagnose(
    sizes: Annotated[str | None, typer.Option(help="Sample sizes, with commas between.")] = None,
    effects: Annotated[str | None, typer.Option(help="Effects in SD, as registered.")] = None,
    covariates: Annotated[str, typer.Option(help="none, or lin: adjusted for all.")] = "none",
    weights: Annotated[str, typer.Option(help="none, or raked to the margins.")] = "none",
    simulations: Annotated[int | None, typer.Option(
        min=2, help="Experiments of each size: 1,000, or 200 of a whole analysis.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same answer.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="A Dask scheduler's address.")] = None,
    out: Annotated[Path, typer.Option(help="All results, as JSON.")] = Path("build/diagnosis.json"),
) -> None:
    """Run the registered analysis on simulated experiments over sample sizes and effects.

    With covariates or weights, one simulated survey of each size is held fixed but for its answers.
    Conjoints, clusters, logit, joint tests and moderators: the whole analysis on each simulated
    study, in each assumed world.
    """
    import os
    from contextlib import nullcontext

    from rich.console import Console
    from rich.progress import Progress

    # Threads of the matrix library fight over small matrices; set before it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from claimledger.ledger.entries import dump
    from claimledger.ledger.rehearsal import needs_rehearsal, rehearse
    from claimledger.pipeline.kernel_server import keep_memory
    from claimledger.project import write_atomic
    from claimledger.registration.loading import load
    from claimledger.simulation.assumptions import FILE, load_simulation
    from claimledger.statistics import design_diagnosis as diagnosis

    keep_memory()
    run = _run()
    registration = load(run.registration)
    simulation = load_simulation(run.root / FILE, registration)
    grid = {name: diagnosis.numbers(text) if text else None
            for name, text in (("sizes", sizes), ("effects", effects))}
    if needs_rehearsal(registration):
        table = rehearse(registration, simulation, run.root, simulations or 200, seed,
                         grid["sizes"], workers)
        print(table.to_string(index=False, float_format="{:.3f}".format))
        rows = table.astype(object).where(table.notna(), None)  # joint tests have no estimate
        made = dump({"rehearsal": rows.to_dict("records")})
        return print(f"diagnosis: {_shown(write_atomic(Path.cwd() / out, made))}")
    place = diagnosis.dask_cluster(scheduler) if scheduler else nullcontext()
    bars = Progress(console=Console(stderr=True), transient=True)
    bar = bars.add_task("experiments", total=None)
    try:
        with place:  # the bar starts late: workers are copies of a process without threads
            found = diagnosis.power_grid(
                registration, simulation, **grid, simulations=simulations or 1000, seed=seed,
                workers=-1 if scheduler else workers, root=run.root, covariates=covariates,
                weights=weights,
                progress=lambda at, of: bars.start() or bars.update(bar, completed=at, total=of))
    finally:  # the terminal gets its cursor back
        bars.stop()
    for table in diagnosis.tables(found):
        print(table)
    print(f"diagnosis: {_shown(write_atomic(Path.cwd() / out, dump(found.as_json(registration))))}")


@app.command(epilog=_example("claimledger freeze"))
def freeze() -> None:
    """Freeze the registration: write its SHA-256 and today's date beside it."""
    from claimledger.ledger.audit import dry_run
    from claimledger.registration import lock
    from claimledger.start.folder import complete

    run = _run()
    dry_run(run.registration)
    frozen = lock.freeze(run.registration, date.today())
    for path in complete(run):
        print(f"written, to start from: {_shown(path)}")
    print(f"frozen: {_shown(frozen)}")


@app.command(epilog=_example('claimledger amend --what "H4 added" --why "asked for by a reviewer"'))
def amend(
    what: Annotated[str, typer.Option(help="What was changed in the registration.")],
    why: Annotated[str, typer.Option(help="The reason.")],
) -> None:
    """Declare a change of the frozen registration, with its reason and today's date."""
    from claimledger.ledger.audit import dry_run
    from claimledger.registration import lock

    run = _run()
    dry_run(run.registration)
    print(f"amended: {_shown(lock.amend(run.registration, what, why, date.today()))}")


@app.command(epilog=_example(
    "claimledger deviate --analysis H3a --aspect vcov --run HC3 --reason R --when W --impact I"))
def deviate(
    analysis: Annotated[str, _asked("Which hypothesis or set of comparisons, by its id")],
    aspect: Annotated[str, _asked(
        "What differs: model, vcov, weights, sample, outcome, correction, sesoi, or other")],
    run: Annotated[str, _asked("What is run instead, to the letter; for `other` a sentence")],
    reason: Annotated[str, _asked("Why it is run instead")],
    when: Annotated[str, _asked(
        "When it was decided: before or after the data were seen, and what of them was known")],
    impact: Annotated[str, _asked("What it means for the reader")],
) -> None:
    """Declare a difference between what is registered and what is run; asks for what is not given.

    The ledger then holds both results, and the paper's table of deviations both verdicts.
    """
    from claimledger.registration import lock
    from claimledger.registration.loading import load

    run_, given = _run(), dict(analysis=analysis, aspect=aspect, run=run, reason=reason,
                                   when=when, impact=impact)
    registered = load(run_.registration)
    known = [one.id for one in (*registered.hypotheses, *registered.comparisons)]
    print(f"declared: {_shown(lock.deviate(run_.registration, given, known))}")


@app.command(epilog=_example("claimledger schema"))
def schema() -> None:
    """Write the JSON schemas with which editors complete and check what you write."""
    from claimledger.registration.loading import LINE, write_schema
    from claimledger.settings import CONFIG

    run = _run()
    for document, name in ((run.registration, "registration"), (run.root / CONFIG, "settings")):
        path, pointed = write_schema(document, name)
        print(f"schema: {_shown(path)}")
        if not pointed:
            print(f"{document.name} is frozen; editors need as its first line: {LINE.strip()}")


@app.command(epilog=_example("claimledger migrate"))
def migrate() -> None:
    """Rewrite a registration of an older schema, its comments kept, and amend its lock."""
    from claimledger.registration.loading import migrate as lift

    registration = _run().registration
    amended = lift(registration, date.today())
    print(f"{_shown(registration)}: schema 2, meaning the same"
          + "; its lock has an amendment that says so" * amended)


def _run():
    """The run of record of the project that this folder is in."""
    from claimledger.project import Run

    return Run.open()


def _how(ran: list[str]) -> str:
    return f"made anew: {', '.join(ran)}" if ran else "up to date"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
