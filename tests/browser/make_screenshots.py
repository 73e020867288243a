"""Make tests/screenshots, which the README shows: pages of the default model in a Chromium.

Run `python -m tests.browser.make_screenshots` after a page looks different, and look at them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gptcli.cli.boundary import main
from tests.browser.chromium import open_chromium, set_scheme

PLACE = Path(__file__).parents[1] / "screenshots"
PROMPT = "The capital of France is Paris and the capital of Spain is"
CONTEXTS = ("--in", "a machine learning model", "--in", "a fashion model")
#: (command line, the part of the page that is at the top, height)
PAGES = {
    "explain": (("explain", "--temp", "0", "The capital of France is"), "h1", 960),
    "neighbors": (("neighbors", "model", *CONTEXTS), "h1", 330),
    "attention": (("attention", PROMPT), "h1", 960),
    "lens": (("lens", "--track", " Madrid", PROMPT), "h1", 960),
}


def make(directory: Path) -> None:
    """Write all of them, dark ones where night is more usual than day."""
    browser = open_chromium()
    try:
        for name, (argv, top, height) in PAGES.items():
            path = directory / f"{name}.html"
            if main([*argv, "--html", str(path)]) != 0:
                sys.exit(f"{name} failed")
            scheme = "dark" if name in ("attention", "explain") else "light"
            set_scheme(browser, scheme)
            # A window has a border, of which a page knows.
            browser.set_window_size(960, 800)
            border = browser.execute_script("return outerHeight - innerHeight")
            browser.set_window_size(960, height + border)
            browser.get(path.as_uri())
            if name == "attention":
                browser.execute_script("document.querySelectorAll('#overview button')[103].click()")
            if name == "explain":
                # Where the answer comes from: attention of layer 23 looks at France.
                browser.execute_script(
                    "document.querySelectorAll('section.off tbody td')[23].click()"
                )
            browser.execute_script(f"document.querySelector('{top}').scrollIntoView()")
            browser.save_screenshot(str(PLACE / f"{name}.png"))
    finally:
        browser.quit()


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        make(Path(directory))
