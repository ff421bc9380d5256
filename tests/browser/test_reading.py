"""What a reader does on a page: cards, notes, figures, panel; by keyboard, on a phone, alone."""

import pytest

CLAIM = 'main p a.claim[data-field="ci"]'


def test_the_keyboard_opens_a_card_and_escape_gives_the_focus_back(small, visit):
    page = visit(small)
    claim, card = page.locator(CLAIM).last, page.locator("#claim-card")
    for key in ("Enter", " "):
        claim.focus()
        page.keyboard.press(key)
        assert card.is_visible() and card.get_attribute("role") == "dialog"
        assert claim.get_attribute("aria-expanded") == "true"
        title = page.locator(f"#{card.get_attribute('aria-labelledby')}").inner_text()
        assert title == "H1 Support for correcting the ally, failing against keeping"
        page.keyboard.press("Escape")
        assert not card.is_visible() and claim.get_attribute("aria-expanded") == "false"
        assert claim.evaluate("link => link === document.activeElement")


def test_tab_goes_through_the_card_and_back_to_the_text(small, visit):
    page = visit(small)
    page.locator(CLAIM).last.focus()
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#claim-card') !== null")
    page.keyboard.press("Tab")
    assert not page.locator("#claim-card").is_visible()
    assert page.locator(CLAIM).last.evaluate("link => link === document.activeElement")


def test_a_click_opens_the_card_with_full_precision_and_origin(small, visit):
    page = visit(small)
    page.locator(CLAIM).last.click()
    text = page.locator("#claim-card").inner_text()
    assert "0.2123 points" in text and "0123456789abcdef" in text and "(simulated)" in text
    assert "0.2123456789" not in text
    page.locator("#claim-card details summary").click()
    assert "0.2123456789" in page.locator("#claim-card").inner_text()
    assert "claimledger build --notebook 01_mini" in text
    page.locator(CLAIM).last.click()
    assert not page.locator("#claim-card").is_visible()


@pytest.mark.parametrize("width", [320, 390, 800, 1300])
def test_no_width_scrolls_sideways_and_the_card_stays_on_the_screen(small, visit, width):
    page = visit(small, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(CLAIM).last.click()
    box = page.locator("#claim-card").bounding_box()
    assert box["x"] >= 0 and box["y"] >= 0
    assert box["x"] + box["width"] <= width and box["y"] + box["height"] <= 800


@pytest.mark.parametrize(("mark", "words"), [
    ("a.footnote-ref", "A note with a number: 0.05"),
    ('a[href="#ref-tomz2013"]', "Public Opinion and the Democratic Peace"),
])
def test_a_note_shows_beside_its_mark_on_hover_and_on_focus(small, visit, mark, words):
    page = visit(small)
    link, note = page.locator(mark).first, page.locator("#note-card")
    link.hover()
    assert words in note.inner_text() and note.is_visible()
    note.hover()
    page.wait_for_timeout(400)
    assert note.is_visible()  # the pointer may go to it
    page.keyboard.press("Escape")
    assert not note.is_visible()
    link.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert note.is_visible() and link.get_attribute("aria-describedby") == "note-card"
    page.keyboard.press("Tab")  # the next mark may have a note of its own
    assert not note.is_visible() or words not in note.inner_text()


def test_a_figure_enlarges_by_keyboard_and_escape_leads_back(small, visit):
    page = visit(small)
    button = page.get_by_role("button", name="Enlarge Figure 1")
    small_box = page.locator("#fig-support img").bounding_box()
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Figure 1")
    picture = dialog.locator("img")
    assert picture.get_attribute("alt") == page.locator("#fig-support img").get_attribute("alt")
    assert picture.bounding_box()["height"] > small_box["height"]
    assert "1,202\xa0respondents" in dialog.inner_text()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('dialog')")
    assert button.evaluate("one => one === document.activeElement")


def test_lettering_is_readable_on_a_phone_and_the_picture_scrolls_by_itself(small, visit):
    page = visit(small, 390)
    picture = page.locator("#fig-support img")
    assert picture.bounding_box()["width"] >= 480
    line = picture.locator("xpath=..")
    assert line.get_attribute("tabindex") == "0"
    assert line.evaluate("p => p.scrollWidth > p.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_lies_over_a_picture(small, visit):
    for width in (390, 1300):
        page = visit(small, width, has_touch=True)
        picture = page.locator("#fig-support img").bounding_box()
        button = page.get_by_role("button", name="Enlarge Figure 1").bounding_box()
        assert button["y"] >= picture["y"] + picture["height"]


def test_a_passage_opens_the_card_of_the_verdict_that_it_states(small, visit):
    page = visit(small)
    link = page.locator("a.claim.when", has_text="This paragraph shows because")
    assert link.inner_text() == "This paragraph shows because the first hypothesis was decided"
    link.focus()
    page.keyboard.press("Enter")
    card = page.locator("#claim-card")
    assert card.is_visible() and "supported" in card.inner_text()
    assert link.get_attribute("data-verdict") == "supported"


def test_the_panel_answers_the_keyboard_with_the_numbers_of_the_grid(small, visit):
    page = visit(small)
    said = page.locator(".power-panel output")
    assert said.get_attribute("aria-live") == "polite"
    size = page.get_by_role("slider", name="Respondents analyzed")
    effect = page.get_by_role("slider", name="True effect")
    assert size.get_attribute("aria-valuetext") == "1,502 respondents"
    assert "found in 50% of surveys" in said.inner_text()  # it starts at N and bound as registered
    effect.focus()
    page.keyboard.press("ArrowRight")
    assert effect.get_attribute("aria-valuetext") == "0.40 standard deviations"
    assert "found in 97% of surveys" in said.inner_text()
    size.focus()
    page.keyboard.press("ArrowLeft")
    assert "With 500 respondents and a true effect of 0.40" in said.inner_text()
    bars = said.locator(".power-bar span").all_inner_texts()
    assert [text for text in bars if text] == [
        "Supported", "59%", "Refuted", "1%", "Negligible", "0%", "Undecided", "40%"]
    chosen = page.get_by_role("combobox", name="Hypothesis")
    assert chosen.input_value() == "H1"


def test_without_scripts_everything_can_be_read(small, visit):
    page = visit(small, java_script_enabled=False)
    row, claim = page.locator("#claim-H1"), page.locator(CLAIM).last
    assert not row.is_visible()
    claim.click()
    assert row.is_visible()  # the link leads to the entry in the list
    assert not page.locator(".power-controls").is_visible()
    page.locator(".power-panel summary").first.click()
    page.locator(".power-panel summary").last.click()
    assert page.locator(".power-panel tr", has_text="0.40").last.inner_text().split() == [
        "1,502", "0.40", "97%", "97%", "0%", "<", "1%", "3%"]
    assert page.locator("nav.contents a", has_text="Results").is_visible()


def test_the_contents_follow_the_reader(small, visit):
    page = visit(small)
    page.locator("#sec-main").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('sec-display').scrollIntoView()")
    current = page.locator("nav.contents a[aria-current]")
    page.wait_for_function("document.querySelector('nav.contents [aria-current]')"
                           "?.hash === '#sec-display'")
    assert current.count() == 1 and current.is_visible()
