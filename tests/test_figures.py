"""Smaller drawings: the same places to a hundredth of a point, the same words, fewer bytes."""

import io
import re
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from claimledger.figures import _relative, show_figure, slim, use_style


def places(path):
    """All absolute points of a path, by walking it; commands of either case."""
    here, start, found, command = (0.0, 0.0), (0.0, 0.0), [], ""
    count = {"m": 2, "l": 2, "q": 4, "c": 6, "h": 1, "v": 1, "z": 0}
    parts = re.findall(r"[MLQCZmlqchvz]|-?(?:\d+\.?\d*|\.\d+)", path)
    while parts:
        command = parts.pop(0) if parts[0].isalpha() else command
        kind, relative = command.lower(), command.islower()
        if kind == "z":
            here = start
            continue
        values = [float(parts.pop(0)) for _ in range(count[kind])]
        if kind in "hv":
            values = [values[0], 0.0] if kind == "h" else [0.0, values[0]]
        points = [(x + here[0] * relative, y + here[1] * relative)
                  for x, y in zip(values[::2], values[1::2], strict=True)]
        found += points
        here = points[-1]
        start = here if kind == "m" else start
    return found


@pytest.mark.parametrize("path", [
    "M 86.958281 150.14904 \nL 238.987627 150.14904 \nL 238.987627 7.2 \nz\n",
    "M 3 72.3 \nL 3.004 72.3 \nL 3.008 72.3 \nL 3.012 72.3 \nL 3.016 72.3 \n",
    "M 0 72.3 \nC 10.079561 72.3 20.155874 72.26839 30.212132 72.212132 \nz\n",
    "M 2522 0 \nL 755 0 \nQ 1107 115 1235 -227 \nL -12.5 -227 \nz\nL 2600 10 \n",
])
def test_every_point_stays_within_a_hundredth_and_no_error_adds_up(path):
    after = places(_relative(path))
    assert len(_relative(path)) < 0.7 * len(path)
    for old, new in zip(places(path), after, strict=True):
        assert new == pytest.approx(old, abs=0.0051)


def test_the_small_curves_of_a_dot_become_lines_between_the_same_ends():
    dot = ("M 0 72.3 \nC 0.079561 72.3 0.155874 72.26839 0.212132 72.212132 \n"
           "C 0.26839 72.155874 0.3 72.079561 0.3 72 \nz\n")
    assert _relative(dot) == "m0 72.3l.21-.09 .09-.21z"


def test_a_figure_keeps_its_words_and_references_in_half_the_bytes():
    with matplotlib.rc_context({"svg.fonttype": "path"}):
        figure = Figure()
        axis = figure.subplots()
        axis.bar([0, 1], [3, 2], hatch="//")
        axis.set(xlabel="Mean rating & its “interval”")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg")
    before = buffer.getvalue().decode()
    after = slim(before)
    assert len(after) < 0.6 * len(before)
    assert re.findall("<!--.*?-->", after) == re.findall("<!--.*?-->", before)
    tree = ElementTree.fromstring(after)
    names = {one.get("id") for one in tree.iter() if one.get("id")}
    asked = set(re.findall(r'(?:href="|url\()#([^")]+)', after))
    assert asked == names and len(asked) > 5
    assert len(after.split("<use")) == len(before.split("<use"))
    assert "<g>" not in after and slim(before) == after


@pytest.mark.parametrize("style", [plt.rcdefaults, use_style])
@pytest.mark.parametrize("layout", ["constrained", "tight", "none", "tight_layout"])
def test_the_note_stands_below_whatever_places_the_axes(tmp_path, layout, style):
    with matplotlib.rc_context():
        style()
        figure, axis = plt.subplots(layout=None if layout == "tight_layout" else layout)
        axis.set_xlabel("below the axis")
        if layout == "tight_layout":
            figure.tight_layout()
        height = figure.get_size_inches()[1]
        show_figure(tmp_path, "fig-a", figure, note="from a program")
    assert figure.get_size_inches()[1] > height
    drawn = (tmp_path / "fig-a.svg").read_text("utf-8")
    label, note = (float(re.search(rf"<!-- {text} --><g [^>]*translate\([\d.]+ ([\d.]+)", drawn)[1])
                   for text in ("below the axis", "from a program"))
    assert note - label > 10 and note < 72 * figure.get_size_inches()[1]  # points from above
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pdf", ".png", ".svg"]
