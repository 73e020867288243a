"""The system's Chromium, headless."""

from __future__ import annotations

import shutil
from typing import Any

FLAGS = ("--headless=new", "--no-sandbox", "--hide-scrollbars")


def open_chromium(*flags: str) -> Any:
    """Start it. Its own places are given, since selenium would ask the network for them."""
    from selenium import webdriver

    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    assert binary and driver, "install Chromium and its driver"
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(executable_path=driver))


def set_scheme(browser: Any, scheme: str) -> None:
    """Show pages as `light` or `dark`."""
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
