"""The command line: each command imports what it needs when it runs, so that all start fast."""

import signal
import sys
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from claimledger.errors import LedgerError, no_room

app = typer.Typer(
    name="claimledger", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Papers whose numbers and verdicts are bound to a ledger of results.",
)

Data = Annotated[Path | None, typer.Option("--data", help="Another export than that of record.")]
Mapping = Annotated[Path | None, typer.Option(help="How the export's columns map to the items.")]
World = Annotated[str | None, typer.Option(help="Simulate this world, and use its answers.")]
External = Annotated[list[str] | None, typer.Option(
    "--external", metavar="NAME=FILE", help="Where the data of another study lie.")]


def main() -> None:
    """Run the command line; a person's mistake ends with status 1 and without a traceback."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as for Ctrl-C
    try:
        app(prog_name="claimledger")
    except (LedgerError, OSError) as error:
        _show(error if isinstance(error, LedgerError) else no_room(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:
            print("Stopped. What was finished is kept; run the same command to go on.",
                  file=sys.stderr)
        raise


def _show(error: LedgerError) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    head, _, rest = str(error).partition("\n")
    console.print(Text.assemble(("Error ", "bold red"), (head, "bold")))
    if rest:
        console.print(Text(rest))


def _example(text: str) -> str:
    return f"Example:  [bold]{text}[/bold]"


@app.command(epilog=_example("claimledger build --notebook 05_h3_moderators"))
def build(
    notebook: Annotated[str | None, typer.Option(help="Only this one, not the ledger.")] = None,
    data: Data = None,
    mapping: Mapping = None,
    world: World = None,
    external: External = None,
    for_quarto: Annotated[bool, typer.Option(help="As the first step of `quarto render`.")] = False,
) -> None:
    """Run the notebooks whose inputs changed, and bring the ledger up to date."""
    from claimledger.paper import build as paper

    start = monotonic()
    run = paper.open_run(data=data, mapping=mapping, world=world)
    _place(run.root, external)
    if for_quarto:
        paper.check_profiles(run.root)
    ran = paper.build(run, only=notebook, world=world)
    if notebook:
        print(f"notebook {notebook}: {_how(ran)} ({monotonic() - start:.1f} s)")
    else:
        print(f"ledger: {_shown(run.ledger)}, {_how(ran)} ({monotonic() - start:.1f} s)")


@app.command(epilog=_example("claimledger render --world null --formats html,pdf"))
def render(
    formats: Annotated[str, typer.Option(help="Some of these.")] = "html,pdf,docx,jats",
    data: Data = None,
    mapping: Mapping = None,
    world: World = None,
    external: External = None,
) -> None:
    """Bring the ledger up to date, and render the paper from it."""
    from claimledger.paper import build as paper

    start = monotonic()
    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    run = paper.open_run(data=data, mapping=mapping, world=world)
    _place(run.root, external)
    renderer, ran = paper.render(run, wanted, world=world)
    print(f"paper: {_how(ran)}, rendered by {renderer} ({monotonic() - start:.1f} s)")
    for name, file in paper.OUTPUTS.items():
        if name in wanted:
            print(f"  {name.upper():<5} {_shown(run.output / file)}")


@app.command(epilog=_example("claimledger review"))
def review() -> None:
    """Render the paper without a word of who wrote it, and search every byte for the names."""
    from claimledger.paper import build as paper
    from claimledger.paper.progress import Progress
    from claimledger.paper.review import render_review

    run, progress = paper.open_run(), Progress()
    paper.build(run, progress=progress)
    files, names = render_review(run, progress=lambda name: progress.say(f"review: {name}"))
    print(f"for review: {len(files)} files in {_shown(run.base / 'review')}; "
          f"none of {len(names)} names is in them")


@app.command(epilog=_example("claimledger new my-study"))
def new(folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")]) -> None:
    """Write a small invented study to start from: simulated answers, and a paper that builds."""
    from datetime import date

    from claimledger.start import start

    print(f"{len(start(folder, date.today()))} files in {folder}; its paper: "
          f"cd {folder} && claimledger render")


@app.command(epilog=_example("claimledger record NAME --external NAME=data.csv"))
def record(
    name: Annotated[str, typer.Argument(help="Another study that `_quarto.yml` names.")],
    external: External = None,
) -> None:
    """Run another study's notebook on its data, and keep what it finds for those without them."""
    import json
    from datetime import date

    from claimledger import external as others
    from claimledger.paper import build as paper

    run = paper.open_run()
    _place(run.root, external)
    one = others.named(run.root, name)
    paper.build(run, only=one.notebook)
    fragment = json.loads((run.fragments / f"{one.notebook}.json").read_text(encoding="utf-8"))
    print(f"recorded: {_shown(others.keep(one, fragment, date.today()))}")


def _place(root: Path, given: list[str] | None) -> None:
    from claimledger.external import place

    place(root, given or [])


@app.command(epilog=_example("claimledger lint"))
def lint() -> None:
    """List typed numbers and verdict words, and tokens that do not resolve, in the prose."""
    from claimledger.paper import build as paper
    from claimledger.paper.lint import report

    run = paper.open_run()
    problems = paper.lint(run)
    print(report(problems) or "no problems")
    for notebook, ids in paper.unused(run).items():
        print(f"in no sentence, {len(ids)} results of {notebook}: {', '.join(ids)}")
    if any(not problem.warning for problem in problems):
        raise typer.Exit(1)


@app.command(epilog=_example("claimledger verify paper.html --with pandas==3.0.3"))
def verify(
    target: Annotated[Path | None, typer.Argument(
        help="A paper in HTML, a ledger.json, or a folder with one; this project if none.")] = None,
    instead: Annotated[list[str] | None, typer.Option(
        "--with", help="Another version of a package, as in a scratch environment.")] = None,
    data: Data = None,
    mapping: Mapping = None,
    tolerance: Annotated[float, typer.Option(
        min=0, help="Of each published number; verdicts and texts must be equal.")] = 1e-6,
    out: Annotated[Path | None, typer.Option(
        help="Folder for report.html, .txt and .json; build/verify by default.")] = None,
) -> None:
    """Run the notebooks anew in a scratch folder, and compare every published claim with them.

    Nothing in the published file is executed, and nothing of record is written.
    Ends with status 0 only if every claim survives.
    """
    from claimledger.exchange import report as reports
    from claimledger.exchange.published import read_published
    from claimledger.paper import build as paper

    run = paper.open_run(data=data, mapping=mapping)
    target, out = (target or run.root).resolve(), (out or run.root / "build" / "verify").resolve()
    published = read_published(target)
    if instead:
        from claimledger.exchange.environment import run_there

        same = {"--data": data, "--mapping": mapping, "--tolerance": tolerance, "--out": out}
        options = [str(word) for pair in same.items() if pair[1] is not None for word in pair]
        raise typer.Exit(run_there(run.root, instead, ["verify", str(target), *options]))
    from claimledger.exchange.verify import verify as compare

    found = compare(published, run, tolerance)
    print(reports.text(found), end="")
    for path in reports.write(found, out):
        print(f"  {_shown(path)}")
    if not found.survives:
        raise typer.Exit(1)


@app.command(epilog=_example("claimledger archive --out paper.zip"))
def archive(
    out: Annotated[Path | None, typer.Option(help="The zip; build/archive.zip by default.")] = None,
) -> None:
    """Bring the paper of record up to date, and pack everything for a data archive."""
    from claimledger.exchange.archive import archive as pack
    from claimledger.paper import build as paper

    run = paper.open_run()
    paper.render(run)
    path, contents = pack(run, (out or run.root / "build" / "archive.zip").resolve())
    for name in contents.withheld:
        print(f"left out, because not shown to be simulated: {name}")
    print(f"archive: {_shown(path)} ({path.stat().st_size / 1e6:.0f} MB)")


def _how(ran: list[str]) -> str:
    return f"made anew: {', '.join(ran)}" if ran else "up to date"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


from claimledger import cli_answers  # noqa: E402, F401  adds its commands to the same program
