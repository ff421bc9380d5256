"""A round trip: what a registration describes is simulated in every form, and read back the same.

Mutations either change nothing, or are said: an error, a warning, or a column that is not certain.
"""

import csv
import io
import json
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claimledger.errors import LedgerError
from claimledger.registration.codebook import files
from claimledger.registration.loading import load
from claimledger.survey import qualtrics
from claimledger.survey.loading import examine
from claimledger.survey.reading import read_export
from exports import kept

FORMS = ["texts", "codes", "texts.sav", "texts.dta", "codes.sav", "codes.dta", "codes.parquet",
         "texts.parquet", "one header", "two headers", "old headers", "semicolons", "utf-16",
         "other language", "imported texts", "imported codes"]


def registrations(root: Path) -> list[Path]:
    """Every registration that is part of the repository."""
    return sorted(path for path in root.glob("**/registration*.yml")
                  if not {".venv", "build", "_manuscript", ".git"} & set(
                      path.relative_to(root).parts))


def draw(registration, n: int, seed: int) -> list[dict[str, float | str]]:
    """Answers at random: codes of items, ids of levels, numbers, and the platform's columns."""
    rng = np.random.default_rng(seed)
    instrument = registration.instrument
    people = []
    for number in range(n):
        start = pd.Timestamp("2025-03-03 10:00:00") + pd.Timedelta(minutes=7 * number)
        seconds = int(rng.integers(300, 900))
        one: dict[str, float | str] = {
            "StartDate": str(start), "EndDate": str(start + pd.Timedelta(seconds=seconds)),
            "RecordedDate": str(start + pd.Timedelta(seconds=seconds)), "Status": "IP Address",
            "Progress": "100", "Duration (in seconds)": str(seconds), "Finished": "True",
            "ResponseId": f"R_{number:015d}", "UserLanguage": "EN",
            "DistributionChannel": "anonymous",
        }
        for name, factor in registration.design.factors.items():
            levels = list(factor.levels)
            one[name] = levels[number % len(levels)] if n > 1 else levels[0]
        for name, item in instrument.items.items():
            scale = instrument.scales[item.scale]
            sample = registration.samples.get(item.asked, {})
            asked = all(one[f] in levels for f, levels in sample.items()
                        if f in registration.design.factors)
            if not asked or rng.random() < 0.05:
                one[name] = np.nan
            elif scale.labels:
                one[name] = float(rng.choice(list(scale.labels)))
            elif scale.kind == "numeric":
                low = 0 if scale.minimum is None else scale.minimum
                high = low + 50 if scale.maximum is None else scale.maximum
                one[name] = float(rng.integers(int(np.ceil(low)), int(high) + 1))
            else:
                one[name] = ""
        named = [rule.column for rule in registration.exclusions]
        design, weighting = registration.design, registration.weighting
        named += [design.respondent, design.blocks, design.clusters]
        named += [weighting.column, weighting.strata, weighting.clusters] if weighting else []
        for name in named:
            if name and name not in one and name not in instrument.derived:
                one[name] = "1" if weighting and name == weighting.column else f"P{number:08d}"
        for rule in registration.exclusions:          # everybody stays, whatever was drawn
            scale = registration.scale_of(rule.column)
            if scale and scale.labels:
                fine = [c for c in scale.labels if c not in rule.equals
                        and (not rule.differs_from or c in rule.differs_from)]
                one[rule.column] = float(fine[0])
        people.append(one)
    return people


def written(path: Path, registration, people, form: str) -> Path:
    """The answers as one of the forms in which platforms and programs write them."""
    scales = {name: registration.instrument.scales[item.scale]
              for name, item in registration.instrument.items.items()}
    names = list(people[0])
    program = path.suffix in (".sav", ".dta", ".parquet")
    if program:
        frame = pd.DataFrame(people)
        labels = {name: {code: text for code, text in scale.labels.items()}
                  for name, scale in scales.items() if scale.labels}
        frame = frame.rename(columns=lambda name: "".join(
            c if c.isalnum() else "_" for c in name)[:32])
        if path.suffix == ".parquet":
            import fastparquet

            for name, texts in labels.items():
                frame[name] = frame[name].map(texts).astype("category") if form.startswith(
                    "texts") else frame[name].astype("Int64")
            fastparquet.write(str(path), frame)
        elif path.suffix == ".sav":
            pyreadstat.write_sav(frame, str(path), variable_value_labels={
                n: {float(c): t for c, t in texts.items()} for n, texts in labels.items()
            } if form.startswith("texts") else None)
        else:
            frame = frame.astype(dict.fromkeys(labels, "Int32"))
            pyreadstat.write_dta(frame, str(path), variable_value_labels=labels
                                 if form.startswith("texts") else None)
        return path

    choices = {name: {str(code): text for code, text in scale.labels.items()}
               for name, scale in scales.items()}
    if form.startswith("imported"):         # as `claimledger codebook` writes it for the platform
        survey = files(registration)["survey.txt"]
        choices = {re.match(r"\w+", part)[0]: dict(re.findall(r"\[\[Choice:(\d+)\]\]\n(.*)", part))
                   for part in survey.split("[[ID:")[1:]}
        assert set(scales) <= set(choices)
        names.sort(key=lambda name: list(choices).index(name) if name in choices else -1)

    def cell(name: str, value) -> str:
        if value != value:
            return "-99" if len(name) % 2 else ""
        scale = scales.get(name)
        if scale is not None and scale.labels:
            code = str(int(value))
            return translated(code if form.endswith("codes") else choices[name][code], form)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return translated(text, form) if name in ("Finished", "Status") else text

    head = [names, [qualtrics.BEFORE.get(n, (registration.instrument.items[n].wording
                    if n in scales else n,))[0] for n in names],
            [json.dumps({"ImportId": qualtrics.BEFORE.get(n, ("", f"QID{i}"))[1]})
             for i, n in enumerate(names)]]
    head[1] = [translated(text, form) for text in head[1]]
    if form == "old headers":          # the platform's own names stand in the second row
        head[0] = [f"V{i}" if n in qualtrics.BEFORE else n for i, n in enumerate(names)]
        head[1] = [n if n in qualtrics.BEFORE else text
                   for n, text in zip(names, head[1], strict=True)]
    keep = {"one header": 1, "two headers": 2, "old headers": 2}.get(form, 3)
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=";" if form == "semicolons" else ",")
    writer.writerows(head[:keep])
    writer.writerows([[cell(name, one[name]) for name in names] for one in people])
    path.write_bytes(file.getvalue().encode("utf-16" if form == "utf-16" else "utf-8"))
    return path


def translated(text: str, form: str) -> str:
    """A text as an export in another language has it."""
    return f"«{text[::-1]}»" if form == "other language" else text


def translation(path: Path, registration) -> Path:
    """The mapping that a person writes for an export in another language."""
    values = {name: {translated(label, "other language"): str(code)
                     for code, label in registration.instrument.scales[item.scale].labels.items()}
              for name, item in registration.instrument.items.items()}
    values |= {name: {translated(text, "other language"): text}
               for name, text in (("Finished", "True"), ("Status", "IP Address"))}
    mapping = path.with_name("mapping.yml")
    mapping.write_text(yaml.safe_dump({"values": {n: v for n, v in values.items() if v}},
                                      allow_unicode=True), encoding="utf-8")
    return mapping


def looked(path: Path, registration, mapping: Path | None = None):
    """The coded rows that stay, or None for a refusal; and all that was said."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = read_export(path, registration, mapping)
            found = examine(read, registration)
        except LedgerError as error:
            return None, {str(error)}
    wrong = any(p.severity == "error" for p in found.problems)
    told = {f"{p.column}: {p.found}" for p in found.problems}
    return None if wrong else kept(read, registration), told


def meant(registration, people) -> pd.DataFrame:
    """The codes and levels that were drawn."""
    return pd.DataFrame(people)[[
        *(n for n, item in registration.instrument.items.items()
          if registration.instrument.scales[item.scale].kind != "text"),
        *registration.design.factors]]


def same(kept: pd.DataFrame, wanted: pd.DataFrame) -> bool:
    """Whether the codes and levels are those that were drawn, to the last cell."""
    if len(kept) != len(wanted):
        return False
    for name in wanted:
        one, two = kept[name].to_numpy(), wanted[name].to_numpy()
        if not all(a == b or (a != a and b != b) or (a is None and b != b)
                   for a, b in zip(one, two, strict=True)):
            return False
    return True


@pytest.fixture(scope="module")
def promises(root):
    made = []
    for path in registrations(root):
        try:
            made.append(load(path))
        except LedgerError:      # a draft that somebody has to finish
            continue
    assert len(made) >= 2
    return made


def trip(data, promises, folder: Path) -> None:
    """One registration, in one form, perhaps with one change: the same codes, or it is said."""
    registration = data.draw(st.sampled_from(promises), label="registration")
    form = data.draw(st.sampled_from(FORMS), label="form")
    levels = max([len(f.levels) for f in registration.design.factors.values()], default=1)
    people = draw(registration, max(6, levels), data.draw(st.integers(0, 10_000), label="seed"))
    ending = "." + form.split(".")[1] if "." in form else ".csv"
    path = written(folder / f"x{ending}", registration, people, form)
    mapping = None
    if form == "other language":
        kept, said = looked(path, registration)
        assert kept is None or not any(s.labels for s in registration.instrument.scales.values())
        mapping = translation(path, registration)
    kept, before = looked(path, registration, mapping)
    if registration.design.respondent is None or kept is not None:
        assert kept is not None and same(kept, meant(registration, people)), form
    if ending != ".csv" or form in ("utf-16", "other language"):
        return
    change = data.draw(st.sampled_from(["none", "flip", "mix", "twice", "number", "blank"]))
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline=""),
                           delimiter=";" if form == "semicolons" else ","))
    items = [n for n, item in registration.instrument.items.items()
             if len(registration.instrument.scales[item.scale].labels) > 2]
    if change == "none" or not items:
        return
    name = data.draw(st.sampled_from(items))
    place = rows[0].index(name)
    head = {"one header": 1, "two headers": 2, "old headers": 2}.get(form, 3)
    scale = registration.scale_of(name)
    ends = min(scale.labels) + max(scale.labels)
    body = rows[head:]
    if change == "mix":               # a part of the rows as numbers, the other way round
        for row in body[::2]:
            by_text = {text: code for code, text in scale.labels.items()}
            number = str(ends - by_text.get(row[place], ends))
            if row[place] in by_text and number not in by_text and not form.endswith("codes"):
                row[place] = number
    elif change == "flip":            # two columns change places, with their names
        other = (place + 1) % len(rows[0])
        for row in rows:
            row[place], row[other] = row[other], row[place]
    elif change == "twice":
        for row in rows:
            row.append(row[place])
    elif change == "number":
        for row in body[:1]:
            row[place] = str(max(scale.labels) + 7)
    else:
        for row in body[:1]:
            row[place] = ""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=";" if form == "semicolons" else ",").writerows(rows)
    path.write_bytes(file.getvalue().encode())
    changed, said = looked(path, registration)
    new = [line for line in said - before if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line)]
    if changed is None or new:        # said, and of the column that was touched
        assert new, (change, form, name, said - before)
        return
    wanted = meant(registration, people)
    if change == "blank":
        wanted.loc[0, name] = np.nan
        if name in {rule.column for rule in registration.exclusions}:
            wanted = wanted.loc[changed.index - 1]
            assert len(wanted) >= len(people) - 1
    assert same(changed, wanted), (change, form, name)


TRIPS = int(os.environ.get("CLAIMLEDGER_TRIPS", "500"))  # 10,000 take half an hour
CALM = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=60, **CALM)
@given(data=st.data())
def test_nothing_is_changed_in_silence(data, promises, tmp_path):
    trip(data, promises, tmp_path)


@pytest.mark.slow
@settings(max_examples=TRIPS, **CALM)
@given(data=st.data())
def test_nothing_is_changed_in_silence_many_times(data, promises, tmp_path):
    trip(data, promises, tmp_path)
