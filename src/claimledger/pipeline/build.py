"""The task graph of a paper: data, notebooks, ledger, rendered paper."""

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import psutil

import claimledger
from claimledger.errors import LedgerError
from claimledger.ledger.external import external_of, placed, run_for
from claimledger.pipeline import kernels
from claimledger.pipeline import notebooks as execute
from claimledger.pipeline.task_graph import Step, alone, digests, holder, run_steps
from claimledger.progress import Progress, Report
from claimledger.project import Run, sweep
from claimledger.rendering import renderer
from claimledger.rendering.pages import FILES
from claimledger.settings import CONFIG, notebook_stems, settings
from claimledger.yaml_files import near

PACKAGE = Path(claimledger.__file__).parent
SHOWN = 20  # problems of the prose in one message
UNSEEN = ("prose", "rendering", "replication", "start", "cli.py")  # what no notebook imports
PROSE = {".qmd", ".yml", ".bib", ".csl", ".scss", ".css", ".lua", ".typ"}


def open_run(
    *, data: Path | None = None, mapping: Path | None = None, world: str | None = None,
    external: list[str] | None = None,
) -> Run:
    """The run of record, or the run of another data file or world, which has its own name.

    `external` holds NAME=FILE for the data of other studies.
    """
    if world and data:
        raise LedgerError(
            "--world and --data", found="both", expected="one of them: simulated answers or a file",
            mend="leave one out",
        )
    record = placed(Run.open(), external or [])
    if world:
        if not re.fullmatch(r"[a-z][\w-]*", world) or world == "record":
            raise LedgerError(f"--world {world}", found="no name of a world", expected="a name")
        run = replace(record, name=world, mapping=None)
        return replace(run, data=run.base / "data" / f"simulated-{world}.csv")
    if data is None and mapping is None or data and data.resolve() == record.data and not mapping:
        return record
    data, mapping = data or record.data, mapping.resolve() if mapping else record.mapping
    for file, what, name in ((data, "an export", "DATA"), (mapping, "a mapping", "MAPPING")):
        if file and not file.is_file():
            raise LedgerError(file, found="no such file", expected=what,
                              mend=f"correct the name after {name}=")
    return replace(record, name=_name_of(data, mapping), data=data.resolve(), mapping=mapping)


def _name_of(data: Path, mapping: Path | None) -> str:
    """The file's stem, and six digits that tell two files of one name apart."""
    places = f"{data.resolve()}\0{mapping.resolve() if mapping else ''}"
    stem = re.sub(r"[^\w.-]+", "-", data.stem).strip("-.") or "data"
    return f"{stem}-{sha256(places.encode()).hexdigest()[:6]}"


def build(
    run: Run, *, only: str | None = None, world: str | None = None,
    progress: Progress | None = None, proceed: bool = False, prose: bool = False,
) -> list[str]:
    """Bring the ledger up to date; return the names of the steps that ran.

    With `proceed` a notebook that fails does not keep the others from running. With `prose` the
    text is checked against the ledger, as before any rendering.
    """
    progress = progress or Progress()

    def steps() -> list[Step]:
        return [*_ledger_steps(run, only, progress), *([_lint_step(run)] if prose else [])]

    return _make(run, world, steps, progress, proceed)


def build_paper(
    run: Run, formats: Iterable[str] = tuple(FILES), *, world: str | None = None,
) -> tuple[str, list[str]]:
    """Bring ledger and paper up to date; return the renderer's name and the steps that ran."""
    progress, wanted = Progress(), sorted(set(formats))
    unknown = [name for name in wanted if name not in FILES]
    if unknown or not wanted:
        raise LedgerError("--formats", found=", ".join(unknown) or "nothing",
                          expected="some of: " + ",".join(FILES))
    chosen = renderer.choose(run, progress)

    def steps() -> list[Step]:
        return [*_ledger_steps(run, None, progress), _paper_step(run, wanted, chosen)]

    return chosen.name, _make(run, world, steps, progress)


def _make(
    run: Run, world: str | None, steps: Callable[[], list[Step]], progress: Progress,
    proceed: bool = False,
) -> list[str]:
    """First promise and data, then what follows from them."""
    if holder(run.base) in (parent.pid for parent in psutil.Process().parents()):
        return []  # by way of Quarto: that build has just brought everything up to date
    with alone(run.base, progress):
        pages = run.output / "build" / "notebooks"
        sweep([run.base, run.notebooks, run.fragments, run.kept, run.figures, run.ledger.parent,
               run.output, pages])
        record = run.base / "steps.json"
        first = [_promise_step(run)] + ([_data_step(run, world)] if world else [])
        ran = run_steps(first, record, run.root, progress)
        return ran + run_steps(
            steps(), record, run.root, progress, proceed=proceed, stop=kernels.stop)


def check_profiles(root: Path) -> None:
    """Quarto silently ignores a profile that does not exist."""
    for name in filter(None, os.environ.get("QUARTO_PROFILE", "").split(",")):
        if not (root / f"_quarto-{name}.yml").is_file():
            known = [path.stem.removeprefix("_quarto-") for path in root.glob("_quarto-*.yml")]
            raise LedgerError(
                f"--profile {name}", found=f"no _quarto-{name}.yml",
                expected=f"one of: {', '.join(sorted(known)) or 'no profile'}",
            )


def _ledger_steps(run: Run, only: str | None, progress: Progress) -> list[Step]:
    names = notebook_stems(run.root)
    if only is not None and only not in names:
        raise LedgerError(
            f"--notebook {only}", found="no such notebook", expected="one of: " + ", ".join(names),
            mend=near(only, names),
        )
    if only:
        return [_notebook_step(run, only)]
    # The last ones first: robustness and simulations take longest, and the others fill the gaps.
    return [*(_notebook_step(run, name) for name in reversed(names)),
            _merge_step(run, names, progress)]


def _promise_step(run: Run) -> Step:
    """Stop before any work where the registration is not the one that was frozen."""
    lock = run.registration.with_suffix(".lock")
    if not lock.is_file():
        from claimledger.registration.lock import read_lock

        read_lock(run.registration)  # says how to freeze

    def action(report: Report) -> list[Path]:
        kernels.warm(run)  # all notebooks follow from this: let their imports begin meanwhile
        from claimledger.ledger.audit import dry_run
        from claimledger.registration.lock import check_lock

        check_lock(run.registration)
        dry_run(run.registration)
        return [lock]

    modules = sorted((PACKAGE / "registration").glob("*.py"))
    return Step("registration", action, [run.registration, lock, *modules])


def _data_step(run: Run, world: str) -> Step:
    """Simulate a world's export into the run's own folder."""
    def action(report: Report) -> list[Path]:
        from claimledger.simulation.assumptions import FILE
        from claimledger.simulation.platform_file import export

        return export(run.data, run.registration, run.root / FILE, world, run.seed)

    modules = [path for name in ("registration", "survey", "simulation")
               for path in (PACKAGE / name).glob("*.py")]
    inputs = [run.registration, *modules, *(run.root / "data").glob("*.yml")]
    config = {"world": world, "seed": run.seed}
    return Step("data", action, inputs, config, after=["registration"])


def _notebook_step(run: Run, stem: str) -> Step:
    def action(report: Report) -> list[Path]:
        executed = execute.execute(run, stem, report)
        return [executed, execute.fragment_of(run, stem), *execute.figures_of(run, stem)]

    other = external_of(run, stem)
    own = other.inputs() if other else []
    engine = [path for path in _engine() if path.relative_to(PACKAGE).parts[0] not in UNSEEN]
    inputs = [execute.source_of(run, stem), *own, *engine, *_shared_inputs(run)]
    return Step(stem, action, inputs, {"parameters": execute.parameters(run_for(run, stem))})


def _merge_step(run: Run, names: list[str], progress: Progress) -> Step:
    def action(report: Report) -> list[Path]:
        kernels.stop()  # nothing that a notebook has started sees the ledger
        changed = [name for name, known in digests(promised, run.root).items()
                   if stood.get(name) != known]
        if changed:
            raise LedgerError(
                changed[0], found="changed while the notebooks ran",
                expected="registration, lock, data, settings and engine as they were at the start",
                mend="look at what changed it, then run the same command again",
            )
        from claimledger.ledger.merging import merge
        from claimledger.survey.disclosure import check_private

        check_private(run, [*fragments, *(execute.executed_of(run, name) for name in names)])
        merge(run, tell=progress.say)
        return [run.ledger]

    fragments = [execute.fragment_of(run, name) for name in names]
    promised = [run.root / CONFIG, *_shared_inputs(run), *_engine()]
    stood = digests(promised, run.root)  # what the audit rests on, before any notebook runs
    inputs = [*fragments, *promised]
    return Step("ledger", action, inputs, after=names, produced=fragments)


def _shared_inputs(run: Run) -> list[Path]:
    """What every notebook depends on: registration, data with what belongs to them, packages."""
    tables = [path for path in (run.root / "data").iterdir() if path.suffix in (".csv", ".yml")]
    named = [run.data, run.registration, run.registration.with_suffix(".lock")]
    mapping = [run.mapping] if run.mapping else []
    beside = [run.data.with_suffix(".manifest.json"), run.root / "requirements.lock"]
    return [*tables, *named, *mapping, *(path for path in beside if path.is_file())]


def _engine() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def lint(run: Run) -> list:
    """Problems of the prose: typed numbers and verdict words, and tokens that do not resolve."""
    from claimledger.ledger.entries import load_ledger
    from claimledger.prose.lint import Subjects, lint_sources, refuse_markup
    from claimledger.prose.source import Source
    from claimledger.prose.tokens import check_tokens
    from claimledger.registration.loading import load

    ledger, sources = load_ledger(run.ledger), prose_of(run)
    config = settings(run.root)["ledger"]
    subjects = Subjects.of(load(run.registration), config.get("subjects") or [])
    registered = Source(run.relative(run.registration), run.registration.read_text("utf-8"),
                        "registration")
    return [*check_tokens(sources, ledger), *refuse_markup([*sources, registered]),
            *lint_sources(sources, ledger, config["lint"], subjects)]


def prose_of(run: Run) -> list:
    """The article with what it includes and the notebooks, as sources named from the root."""
    from claimledger.prose.source import read_sources

    books = [execute.source_of(run, stem) for stem in notebook_stems(run.root)]
    sources = read_sources([run.article, *books])
    return [replace(one, file=os.path.relpath(one.file, run.root)) for one in sources]


def check_prose(run: Run) -> None:
    """Raise where the prose says what the ledger does not, or what a respondent wrote."""
    from claimledger.survey.disclosure import check_private

    check_private(run, _prose(run))
    if problems := lint(run):
        listed = "\n    ".join(str(problem) for problem in problems[:SHOWN])
        raise LedgerError(
            f"{run.article.name}: {len(problems)} problem(s)", found=f"\n    {listed}",
            expected="numbers and verdicts that come from the ledger", mend="claimledger lint",
        )


def _prose(run: Run) -> list[Path]:
    return [run.article, *sorted((run.root / "paper").glob("*.qmd"))]


def _lint_step(run: Run) -> Step:
    def action(report: Report) -> list[Path]:
        check_prose(run)
        return [run.article]

    notebooks = [execute.source_of(run, stem) for stem in notebook_stems(run.root)]
    inputs = [*_prose(run), run.root / CONFIG, run.ledger, *notebooks,
              *(PACKAGE / "prose").glob("*.py")]
    return Step("lint", action, inputs, after=["ledger"], produced=[run.ledger])


def _paper_step(run: Run, formats: list[str], chosen: renderer.Renderer) -> Step:
    stems = notebook_stems(run.root)
    made = [run.ledger, *(execute.executed_of(run, stem) for stem in stems)]
    sources = [execute.source_of(run, stem) for stem in stems]
    places = [*run.root.iterdir(), *(run.root / "paper").glob("*")]
    prose = [path for path in places if path.suffix in PROSE and path.is_file()]
    engine = [*PACKAGE.rglob("*"), *(run.root / "_extensions").rglob("*")]
    engine = [path for path in engine if path.is_file() and "__pycache__" not in path.parts]
    inputs = [*made, *sources, *prose, *engine, *_shared_inputs(run)]

    def action(report: Report) -> list[Path]:
        with ThreadPoolExecutor(1) as pool:  # while pandoc reads: it imports pandas for its part
            checked = pool.submit(check_prose, run)
            return renderer.run_renderer(run, formats, chosen, checked.result, report)

    date = os.environ.get("SOURCE_DATE_EPOCH", "")
    config = {"renderer": chosen.name, "formats": formats, "date": date}
    return Step("paper", action, inputs, config, after=["ledger"], produced=made)
