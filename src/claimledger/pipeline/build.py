"""The task graph of a paper: data, notebooks, ledger, rendered paper."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from hashlib import sha256
from pathlib import Path

import claimledger
from claimledger.errors import LedgerError
from claimledger.ledger.external import external_of, run_for
from claimledger.pipeline import kernels
from claimledger.pipeline import notebooks as execute
from claimledger.pipeline.progress import Progress
from claimledger.pipeline.task_graph import Report, Step, alone, run_steps
from claimledger.project import CONFIG, Run, settings, sweep
from claimledger.rendering import renderer

PACKAGE = Path(claimledger.__file__).parent
OUTPUTS = {"html": "index.html", "pdf": "paper.pdf", "docx": "paper.docx", "jats": "paper.xml"}
BUILT_BY = "CLAIMLEDGER_BUILT_BY"  # set for the programs that a build starts: do not build again
NOT_FOR_NOTEBOOKS = {"cli", "rendering", "replication", "prose", "pipeline", "start", "__main__"}
SHOWN = 20  # problems of the prose in one message
PROSE = {".qmd", ".yml", ".bib", ".csl", ".scss", ".css", ".lua", ".typ"}


def open_run(
    root: Path | None = None, *, data: Path | None = None, mapping: Path | None = None,
    world: str | None = None,
) -> Run:
    """The run of record, or the run of another data file or world, which has its own name."""
    data = data or _path_of("CLAIMLEDGER_DATA")
    mapping = mapping or _path_of("CLAIMLEDGER_MAPPING")
    record = Run.open(root, name="record", data=None if world else data, mapping=mapping)
    name = os.environ.get("CLAIMLEDGER_RUN")
    if world:
        if not re.fullmatch(r"[a-z][\w-]*", world) or world == "record":
            raise LedgerError(f"--world {world}", found="no name of a world", expected="a name")
        run = Run.open(record.root, name=world)
        return replace(run, data=run.base / "data" / f"simulated-{world}.csv", mapping=None)
    own = record.root / settings(record.root)["ledger"]["data"]
    data = data or own
    if data.resolve() == own and mapping is None:
        return Run.open(record.root, name=name, data=own)
    if not data.is_file():
        raise LedgerError(
            data, found="no such file", expected="an export", mend="correct the name after DATA=",
        )
    return Run.open(
        record.root, name=name or _name_of(data, mapping), data=data.resolve(), mapping=mapping
    )


def _path_of(variable: str) -> Path | None:
    return Path(os.environ[variable]).resolve() if os.environ.get(variable) else None


def _name_of(data: Path, mapping: Path | None) -> str:
    """The file's stem, and six digits that tell two files of one name apart."""
    places = f"{data.resolve()}\0{mapping.resolve() if mapping else ''}"
    stem = re.sub(r"[^\w.-]+", "-", data.stem).strip("-.") or "data"
    return f"{stem}-{sha256(places.encode()).hexdigest()[:6]}"


def stems(run: Run) -> list[str]:
    """The notebooks in reading order, as `_quarto.yml` lists them."""
    listed = settings(run.root).get("manuscript", {}).get("notebooks", [])
    names = [entry if isinstance(entry, str) else entry["notebook"] for entry in listed]
    if not names:
        raise LedgerError(
            f"{CONFIG}: manuscript.notebooks", found="nothing", expected="a list of notebooks",
        )
    return [Path(name).stem for name in names]


def build(
    run: Run, *, only: str | None = None, world: str | None = None,
    progress: Progress | None = None, proceed: bool = False,
) -> list[str]:
    """Bring the ledger up to date; return the names of the steps that ran.

    With `proceed` a notebook that fails does not keep the others from running.
    """
    return _make(run, world, lambda: _ledger_steps(run, only), progress or Progress(), proceed)


def render(
    run: Run, formats: Iterable[str] = tuple(OUTPUTS), *, world: str | None = None,
    progress: Progress | None = None,
) -> tuple[str, list[str]]:
    """Bring ledger and paper up to date; return the renderer's name and the steps that ran."""
    progress, wanted = progress or Progress(), sorted(set(formats))
    unknown = [name for name in wanted if name not in OUTPUTS]
    if unknown or not wanted:
        raise LedgerError(
            "--formats", found=", ".join(unknown) or "nothing",
            expected="some of: " + ",".join(OUTPUTS),
        )
    chosen = renderer.choose(run, progress)

    def steps() -> list[Step]:
        return [*_ledger_steps(run, None), _lint_step(run), _paper_step(run, wanted, chosen)]

    return chosen.name, _make(run, world, steps, progress)


def _make(
    run: Run, world: str | None, steps: Callable[[], list[Step]], progress: Progress,
    proceed: bool = False,
) -> list[str]:
    """First promise and data, then what follows from them."""
    if os.environ.get(BUILT_BY) == run.name:
        return []  # Quarto was started by a build that has just brought everything up to date
    with alone(run.base, progress):
        pages = run.output / "build" / "notebooks"
        sweep([run.base, run.notebooks, run.fragments, run.figures, run.ledger.parent, run.output,
               pages])
        try:
            record = run.base / "steps.json"
            first = [_promise_step(run)] + ([_data_step(run, world)] if world else [])
            ran = run_steps(first, record, run.root, progress)
            return ran + run_steps(steps(), record, run.root, progress, proceed=proceed)
        except BaseException:
            kernels.stop()
            raise


def check_profiles(root: Path) -> None:
    """Quarto silently ignores a profile that does not exist."""
    for name in filter(None, os.environ.get("QUARTO_PROFILE", "").split(",")):
        if not (root / f"_quarto-{name}.yml").is_file():
            known = [path.stem.removeprefix("_quarto-") for path in root.glob("_quarto-*.yml")]
            raise LedgerError(
                f"--profile {name}", found=f"no _quarto-{name}.yml",
                expected=f"one of: {', '.join(sorted(known)) or 'no profile'}",
            )


def _ledger_steps(run: Run, only: str | None) -> list[Step]:
    names = stems(run)
    if only is not None and only not in names:
        raise LedgerError(
            f"--notebook {only}", found="no such notebook", expected="one of: " + ", ".join(names),
            mend=f"nearest: {', '.join(get_close_matches(only, names)) or names[0]}",
        )
    if only:
        return [_notebook_step(run, only)]
    # The last ones first: robustness and simulations take longest, and the others fill the gaps.
    return [*(_notebook_step(run, name) for name in reversed(names)), _merge_step(run, names)]


def _promise_step(run: Run) -> Step:
    """Stop before any work where the registration is not the one that was frozen."""
    lock = run.registration.with_suffix(".lock")
    if not lock.is_file():
        from claimledger.registration.lock import read_lock

        read_lock(run.registration)  # says how to freeze

    def action(report: Report) -> list[Path]:
        from claimledger.registration.loading import load
        from claimledger.registration.lock import check_lock

        load(run.registration)
        check_lock(run.registration)
        return [lock]

    modules = sorted((PACKAGE / "registration").glob("*.py"))
    return Step("registration", action, [run.registration, lock, *modules])


def _data_step(run: Run, world: str) -> Step:
    """Simulate a world's export into the run's own folder."""
    def action(report: Report) -> list[Path]:
        from claimledger.simulation.simulate import simulate_file

        return simulate_file(run.registration, world, run.data, run.seed)

    modules = [*(PACKAGE / "survey").glob("*.py"), *(PACKAGE / "registration").glob("*.py")]
    inputs = [run.registration, *modules, *(run.root / "data").glob("*.yml")]
    config = {"world": world, "seed": run.seed}
    return Step("data", action, inputs, config, after=["registration"])


def _notebook_step(run: Run, stem: str) -> Step:
    def action(report: Report) -> list[Path]:
        executed = execute.execute(run, stem, report)
        return [executed, execute.fragment_of(run, stem), *execute.figures_of(run, stem)]

    other = external_of(run.root, stem)
    own = other.inputs() if other else []
    inputs = [execute.source_of(run, stem), *own, *_shared_inputs(run)]
    return Step(stem, action, inputs, {"parameters": execute.parameters(run_for(run, stem))})


def _merge_step(run: Run, names: list[str]) -> Step:
    def action(report: Report) -> list[Path]:
        from claimledger.ledger.merging import merge
        from claimledger.pipeline.privacy import check_private

        check_private(run, [*fragments, *(execute.executed_of(run, name) for name in names)])
        merge(run)
        return [run.ledger]

    fragments = [execute.fragment_of(run, name) for name in names]
    inputs = [*fragments, *_shared_inputs(run), *PACKAGE.rglob("*.py")]
    return Step("ledger", action, inputs, after=names, produced=fragments)


def _shared_inputs(run: Run) -> list[Path]:
    """What every notebook depends on: engine, promise, data with its papers, environment."""
    modules = {
        path for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") not in NOT_FOR_NOTEBOOKS
    }
    tables = [path for path in (run.root / "data").iterdir() if path.suffix in (".csv", ".yml")]
    named = [run.data, run.registration, run.registration.with_suffix(".lock")]
    mapping = [run.mapping] if run.mapping else []
    beside = [run.data.with_suffix(".manifest.json"), run.root / "requirements.lock"]
    return [*modules, *tables, *named, *mapping, *(path for path in beside if path.is_file())]


def lint(run: Run) -> list:
    """Problems of the prose: typed numbers and verdict words, and tokens that do not resolve."""
    from claimledger.prose.lint import lint_sources
    from claimledger.prose.tokens import check_tokens

    ledger, sources = _prose(run)
    sections = settings(run.root)["ledger"]["lint"]
    return [*check_tokens(sources, ledger), *lint_sources(sources, ledger, sections)]


def unused(run: Run) -> dict[str, list[str]]:
    """Ids of the ledger that no sentence and no caption asks for, by notebook."""
    from claimledger.prose.tokens import tokens, unused

    ledger, sources = _prose(run)
    found: dict[str, list[str]] = {}
    for id in unused(ledger, [token for source in sources for token in tokens(source)]):
        found.setdefault(ledger["entries"][id]["notebook"], []).append(id)
    return found


def _prose(run: Run) -> tuple[dict, list]:
    from claimledger.ledger.entries import load_ledger
    from claimledger.prose.source import read_sources

    ledger = load_ledger(run.ledger)
    sources = read_sources([article(run), *(execute.source_of(run, stem) for stem in stems(run))])
    return ledger, [replace(one, file=os.path.relpath(one.file, run.root)) for one in sources]


def article(run: Run) -> Path:
    """The paper's source."""
    return run.root / settings(run.root).get("manuscript", {}).get("article", "paper.qmd")


def _lint_step(run: Run) -> Step:
    def action(report: Report) -> list[Path]:
        problems = [problem for problem in lint(run) if not problem.warning]
        if problems:
            listed = "\n    ".join(str(problem) for problem in problems[:SHOWN])
            raise LedgerError(
                f"{article(run).name}: {len(problems)} problem(s)", found=f"\n    {listed}",
                expected="numbers and verdicts that come from the ledger", mend="claimledger lint",
            )
        return [article(run)]

    notebooks = [execute.source_of(run, stem) for stem in stems(run)]
    modules = (PACKAGE / "prose").glob("*.py")
    inputs = [article(run), run.root / CONFIG, run.ledger, *notebooks, *modules]
    return Step("lint", action, inputs, after=["ledger"], produced=[run.ledger])


def _paper_step(run: Run, formats: list[str], chosen: renderer.Renderer) -> Step:
    made = [run.ledger, *(execute.executed_of(run, name) for name in stems(run))]
    prose = [path for path in run.root.iterdir() if path.suffix in PROSE and path.is_file()]
    engine = [*PACKAGE.rglob("*"), *(run.root / "_extensions").rglob("*")]
    engine = [path for path in engine if path.is_file() and "__pycache__" not in path.parts]
    inputs = [*made, *prose, *engine, *_shared_inputs(run)]
    action = partial(renderer.render, run, formats, chosen, {BUILT_BY: run.name})
    date = os.environ.get("SOURCE_DATE_EPOCH", "")
    config = {"renderer": chosen.name, "formats": formats, "date": date}
    return Step("paper", action, inputs, config, after=["lint"], produced=made)
