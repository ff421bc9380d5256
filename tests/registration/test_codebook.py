"""Codebook, DDI and the survey file, all from the registration of record."""

import io
import os
import re
from xml.etree import ElementTree as Xml

import pandas as pd
import pytest

from claimledger.registration.codebook import codebook_table, files
from claimledger.registration.loading import load

SPACE = "ddi:codebook:2_5"


@pytest.fixture(scope="module")
def registration(root):
    return load(root / "registration.yml")


def variables(registration) -> list[str]:
    return [*registration.design.factors, *registration.instrument.items,
            *registration.instrument.derived]


def test_the_table_has_every_variable_and_comes_back_from_csv(registration):
    table = codebook_table(registration)
    assert table["variable"].tolist() == variables(registration)
    back = pd.read_csv(io.StringIO(table.to_csv(index=False)), keep_default_na=False)
    assert back.equals(table.astype(str))
    trust = table.set_index("variable").loc["trust"]
    assert trust["answers"].startswith("1 Not at all; 2 A little") and trust["role"] == "outcome"
    assert table.set_index("variable").loc["no_action", "asked"] == "misaligned"


def test_the_page_escapes_what_the_registration_says(registration):
    study = registration.study.model_copy(update={"title": "<script>x</script>"})
    page = files(registration.model_copy(update={"study": study}))["codebook.html"]
    assert "<script" not in page and "&lt;script&gt;" in page
    assert page.count("<table") == 4 and "Failed the attention check" in page


def test_ddi_has_each_variable_with_its_question_and_codes(registration):
    root = Xml.fromstring(files(registration)["codebook.ddi.xml"].encode())
    space = {"d": SPACE}
    assert root.tag == f"{{{SPACE}}}codeBook" and root.get("version") == "2.5"
    found = root.findall("d:dataDscr/d:var", space)
    assert [var.get("name") for var in found] == variables(registration)
    by_name = {var.get("name"): var for var in found}
    trust = registration.instrument.items["trust"]
    assert by_name["trust"].findtext("d:qstn/d:qstnLit", None, space) == trust.wording
    codes = {int(c.findtext("d:catValu", None, space)): c.findtext("d:labl", None, space)
             for c in by_name["trust"].findall("d:catgry", space)}
    assert codes == registration.instrument.scales["trust"].labels
    levels = [c.findtext("d:catValu", None, space)
              for c in by_name["misalignment"].findall("d:catgry", space)]
    assert levels == list(registration.design.factors["misalignment"].levels)
    assert by_name["age"].find("d:valrng/d:range", space).attrib["min"] == "18"
    assert "misalignment is" in by_name["no_action"].findtext("d:universe", None, space)


def test_ddi_is_valid_by_its_schema(registration):
    schema = os.environ.get("CLAIMLEDGER_DDI_XSD")
    if not schema:
        pytest.skip("the DDI schema is not here (set CLAIMLEDGER_DDI_XSD to codebook.xsd)")
    etree = pytest.importorskip("lxml.etree")
    checker = etree.XMLSchema(etree.parse(schema))
    good = files(registration)["codebook.ddi.xml"]
    assert checker.validate(etree.fromstring(good.encode())), checker.error_log
    assert not checker.validate(etree.fromstring(good.replace("qstnLit", "qstnText").encode()))


def test_the_survey_file_asks_every_item_with_its_codes(registration):
    text = files(registration)["survey.txt"]
    assert text.startswith("[[AdvancedFormat]]\n")
    assert re.findall(r"\[\[Block:(.*)\]\]", text) == list(registration.instrument.blocks.values())
    asked = re.findall(r"\[\[ID:(\w+)\]\]", text)
    assert sorted(asked) == sorted([*registration.instrument.items, "vignette"])
    part = text.split("[[ID:trust]]")[1].split("[[Question")[0]
    codes = re.findall(r"\[\[Choice:(\d+)\]\]\n(.*)", part)
    assert {int(c): t for c, t in codes} == registration.instrument.scales["trust"].labels
    vignette = text.split("[[ID:vignette]]")[1].split("[[PageBreak]]")[0]
    order = re.findall(r"\$\{e://Field/(\w+)_text\}", vignette)
    assert order == registration.design.vignette.order
    fields = re.findall(r"\[\[ED:(\w+)\]\]", text)
    assert set(fields) == {"panel_id", *order, *(f"{name}_text" for name in order)}


def test_a_text_cannot_open_a_tag_of_the_format(registration):
    item = registration.instrument.items["trust"].model_copy(
        update={"wording": "One\n[[Question:MC]] two"})
    items = registration.instrument.items | {"trust": item}
    instrument = registration.instrument.model_copy(update={"items": items})
    text = files(registration.model_copy(update={"instrument": instrument}))["survey.txt"]
    assert "One [ [Question:MC] ] two" in text


def test_the_steps_name_every_level_with_its_text_and_who_is_asked(registration):
    text = files(registration)["survey-steps.md"]
    for name, factor in registration.design.factors.items():
        for level, about in factor.levels.items():
            assert f"`{name}` = `{level}`, `{name}_text` = `{about.text}`" in text
    assert "show `no_action` only if embedded data `misalignment` is one of: " in text
    assert "`control`" not in text.split("4. Display logic")[1]
    assert "`age`: a number from 18 to 110" in text
