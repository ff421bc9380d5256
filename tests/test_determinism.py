"""Two builds on two machines, as far as one machine can be two: the same bytes.

The second one is of the unpacked archive: another folder (with spaces and an accent), home, user,
time zone, locale, hash seed, number of threads, and width of the terminal. Both know one
SOURCE_DATE_EPOCH. Other processor families are not tried here.
"""

import zipfile

import pytest

from engine import command

pytestmark = [pytest.mark.build, pytest.mark.slow, pytest.mark.xdist_group("clone")]


@pytest.mark.parametrize("pattern", [
    "_manuscript/index.html", "_manuscript/paper.pdf", "_manuscript/paper.docx",
    "_manuscript/paper.xml", "_manuscript/build/notebooks/*.html", "build/notebooks/*.ipynb",
    "build/fragments/*.json", "figures/fig-*.svg", "figures/fig-*.pdf", "figures/fig-*.png",
    "results/ledger.json",
])
def test_the_same_bytes(clone, unpacked, pattern):
    one, other = ({path.relative_to(place): path.read_bytes() for path in place.glob(pattern)}
                  for place in (clone, unpacked))
    assert one and one.keys() == other.keys()
    assert [str(name) for name in one if one[name] != other[name]] == []


def test_the_same_archive(archived, unpacked):
    """What the archive says of itself is the same too, when it is packed again elsewhere."""
    again = unpacked.parent / "second.zip"
    done = command(unpacked, "archive", "--out", str(again), TZ="Asia/Kathmandu")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(archived) as first, zipfile.ZipFile(again) as second:
        assert first.namelist() == second.namelist()
        differing = [name for name in first.namelist() if first.read(name) != second.read(name)]
    assert differing == []
    assert archived.read_bytes() == again.read_bytes()
