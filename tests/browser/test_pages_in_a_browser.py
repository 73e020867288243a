"""Pages in a headless Chromium: they draw, tell numbers, ask nobody, and say no error.

`pytest -m browser` runs them, with selenium and the system's Chromium and its driver.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import open_chromium, set_scheme
from tests.cli.helpers import run
from tests.ui.pages.test_pages import VIEWS

pytestmark = pytest.mark.browser

#: What each view has to have drawn, as a CSS selector, and how many there are at least.
DRAWN = {
    "lens": ("table.grid tbody td[data-tip]", 60),
    "parts": ("table.signed tbody td[data-tip]", 8),
    "why": (".text [data-tip]", 20),
    "ablate": ("table.grid td[data-tip]", 8),
    "patch": ("table.grid td[data-tip]", 6),
    "attention": ("#overview button canvas", 8),
    "window": ("#map tbody tr:last-child td[data-tip]", 12),
    "one-head": ("#map td[data-tip]", 60),
    "neighbors": (".bar", 20),
    "contexts": (".chart > span", 3),
    "explain": ("table.strip td[data-tip]", 32),
    "what-if": ("section.walk .side", 4),
    "explain-zh": ("table.strip td[data-tip]", 32),
    "shapes": ("table.plain tr", 12),
    "complete": (".text [data-tip]", 20),
    "loom": ("details[open] .text [data-tip]", 20),
}


@pytest.fixture(scope="module", params=["light", "dark"])
def browser(request, tmp_path_factory) -> Iterator[Any]:
    """A Chromium that shows pages as this scheme."""
    pytest.importorskip("selenium")
    profile = tmp_path_factory.mktemp("profile")
    chromium = open_chromium("--window-size=1200,900", f"--user-data-dir={profile}")
    set_scheme(chromium, request.param)
    chromium.scheme = request.param
    # What its own first page still asks for is no page's of ours.
    chromium.get("about:blank")
    yield chromium
    chromium.quit()


def opened(browser: Any, view: str, tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    command, *rest = VIEWS[view]
    assert run(command, "-m", str(tiny_model), "--html", str(path), *rest).code == 0
    browser.get_log("performance")
    browser.get(path.as_uri())


def find(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements("css selector", selector)


def requests(browser: Any) -> list[str]:
    """The addresses that the page asked for, the page itself among them."""
    found = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_draws_and_asks_nobody(browser, view, tiny_model, tmp_path):
    """Catches an error of the script, a request, a page that stays empty or has one scheme."""
    opened(browser, view, tiny_model, tmp_path)
    selector, least = DRAWN[view]
    assert len(find(browser, selector)) >= least
    assert browser.get_log("browser") == []
    assert [url for url in requests(browser) if not url.startswith("data:")] == [
        (tmp_path / "page.html").as_uri()
    ]
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    red = int(ground.split("(")[1].split(",")[0])
    assert red < 60 if browser.scheme == "dark" else red > 200
    # Nothing is wider than the window: what is wide scrolls by itself.
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    "view", ["lens", "why", "ablate", "patch", "one-head", "neighbors", "contexts", "explain"]
)
def test_pointing_shows_the_numbers(browser, view, tiny_model, tmp_path):
    """Catches a tip that does not come, is off the window, or stays."""
    from selenium.webdriver import ActionChains

    opened(browser, view, tiny_model, tmp_path)
    spot = find(browser, DRAWN[view][0])[1]
    (tip,) = find(browser, "#tip")
    assert not tip.is_displayed()
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", spot)
    ActionChains(browser).move_to_element(spot).pause(0.2).perform()
    assert tip.is_displayed()
    assert tip.text.split() == spot.get_attribute("data-tip").split()
    assert any(character.isdigit() for character in tip.text)
    box = tip.rect
    inside = browser.execute_script(
        "const b = arguments[0].getBoundingClientRect();"
        "return b.left >= 0 && b.top >= 0 && b.right <= innerWidth && b.bottom <= innerHeight",
        tip,
    )
    assert inside, box
    heading = find(browser, "h1")[0]
    ActionChains(browser).scroll_to_element(heading).move_to_element(heading).perform()
    assert not tip.is_displayed()


@pytest.mark.parametrize("view", ["lens", "one-head"])
def test_arrow_keys_go_through_a_grid(browser, view, tiny_model, tmp_path):
    """Catches a grid that Tab does not reach, or whose cells the keys do not move between."""
    from selenium.webdriver import ActionChains, Keys

    opened(browser, view, tiny_model, tmp_path)
    for _ in range(10):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.switch_to.active_element.tag_name == "td":
            break
    first = browser.switch_to.active_element
    assert first.tag_name == "td"
    (tip,) = find(browser, "#tip")
    assert tip.is_displayed()
    tips = [tip.text]
    for key in (Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.END, Keys.ARROW_UP):
        ActionChains(browser).send_keys(key).perform()
        here = browser.switch_to.active_element
        assert here.tag_name == "td" and here.get_attribute("tabindex") == "0"
        tips.append(tip.text)
    assert len(set(tips)) == len(tips)
    assert len(find(browser, "table.grid td[tabindex='0']")) == 1
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()


def test_a_head_is_chosen_and_shown(browser, tiny_model, tmp_path):
    """Catches small maps that do not lead to the large one, and weights of another head."""
    opened(browser, "attention", tiny_model, tmp_path)
    command, *rest = VIEWS["attention"]
    found = json.loads(run(command, "-m", str(tiny_model), "--json", *rest).text)
    groups = find(browser, "#overview .group")
    assert len(groups) == 2 * 2 and len(groups[0].find_elements("tag name", "button")) == 2
    buttons = find(browser, "#overview button")
    for place in (0, 5):
        # By the keyboard: Enter on a button that has the focus.
        browser.execute_script("arguments[0].focus()", buttons[place])
        buttons[place].send_keys("\n")
        expected = found["maps"][place]
        name = f"layer {expected['layer']}, head {expected['head']}"
        assert find(browser, "#map-title")[0].text == name
        assert buttons[place].get_attribute("aria-pressed") == "true"
        last = find(browser, "#map tbody tr")[-1]
        tips = [
            float(cell.get_attribute("data-tip").split("\n")[1].rstrip("%"))
            for cell in last.find_elements("css selector", "td[data-tip]")
        ]
        assert tips == pytest.approx([w * 100 for w in expected["weights"][-1]], abs=0.011)


def test_layers_are_stepped_through_and_parts_switched_off(browser, tiny_model, tmp_path):
    """Catches a button, a key or a slider that leads elsewhere, and numbers of another part."""
    from selenium.webdriver import ActionChains, Keys

    opened(browser, "what-if", tiny_model, tmp_path)
    page = json.loads(browser.execute_script("return document.getElementById('data').textContent"))
    (walk,) = page["walks"]
    (section,) = find(browser, "section.walk")
    (slider,) = find(browser, "section.walk input")
    before, after = find(browser, "section.walk [data-step]")

    def layer() -> str:
        return section.find_element("css selector", "output").text

    assert layer() == walk["layers"][1]["name"] and not after.is_enabled()
    before.click()
    assert layer() == walk["layers"][0]["name"] and not before.is_enabled()
    ActionChains(browser).move_to_element(find(browser, "h1")[0]).click().perform()
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
    assert layer() == walk["layers"][1]["name"]
    slider.send_keys(Keys.ARROW_LEFT)
    assert layer() == walk["layers"][0]["name"]
    assert len(find(browser, ".compared .bar.without")) == 0
    for place, block in enumerate(walk["layers"][0]["blocks"]):
        find(browser, "button.switch")[place].send_keys("\n")
        pressed = [each.get_attribute("aria-pressed") for each in find(browser, "button.switch")]
        assert pressed == [str(at == place).lower() for at in range(2)]
        lines = [each.text.split() for each in find(browser, ".compared .share")]
        expected = {one[0]: one[2] for one in block["off"]}
        assert {line[0]: line[-1] for line in lines} == expected
        assert block["without"] in find(browser, ".compared .legend")[0].text
    # A cell of the table leads to its part.
    cell = find(browser, "section.off tbody tr")[0].find_elements("css selector", "td")[1]
    browser.execute_script("arguments[0].focus()", cell)
    cell.send_keys("\n")
    assert layer() == walk["layers"][1]["name"]
    assert find(browser, "button.switch")[0].get_attribute("aria-pressed") == "true"
    # On a narrow window, too, nothing is wider than it.
    size = browser.get_window_size()
    browser.set_window_size(500, 900)
    narrow = "return document.documentElement.scrollWidth <= innerWidth"
    assert browser.execute_script(narrow)
    browser.set_window_size(size["width"], size["height"])
