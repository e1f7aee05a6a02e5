"""What a person does on the first visit; runs in the browser's container with Debian's Selenium.

Usage: person.py URL KERNEL, with ca.crt and password in the script's directory, where the pictures go too.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

SHARED = Path(__file__).parent
URL, KERNEL = sys.argv[1].rstrip("/"), sys.argv[2]
CELL = "import numpy as np; np.random.seed(100); np.random.standard_normal((5, 4))"
FIRST_VALUE = "-1.74976547"

Browser = Any  # Selenium of Debian publishes no types
Condition = Callable[[Browser], Any]


def step(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def chromium() -> Browser:
    options = Options()
    # The container is the sandbox: Chromium's own needs rights that a container does not have.
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1400,900", "--disable-gpu"):
        options.add_argument(argument)
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def trust(certificate: Path) -> None:
    database = Path.home() / ".pki/nssdb"
    database.mkdir(parents=True)
    for command in (["-N", "--empty-password"], ["-A", "-n", "lab", "-t", "C,,", "-i", str(certificate)]):
        subprocess.run(["certutil", "-d", f"sql:{database}", *command], check=True)


def wait(browser: Browser, what: str, condition: Condition, seconds: float = 60) -> Any:
    return WebDriverWait(browser, seconds, poll_frequency=0.2).until(condition, message=f"waited for {what}")


def css(selector: str) -> Condition:
    return lambda browser: next((e for e in browser.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None)


def log_in(browser: Browser, password: str) -> None:
    field = wait(browser, "the login page", css("input[name=password]"))
    field.clear()
    field.send_keys(password + Keys.RETURN)


def fetch(browser: Browser, path: str) -> Any:
    """Status and body of a request that the page makes with its own session."""
    return browser.execute_async_script(
        "const [path, done] = arguments; fetch(path).then(async r => done([r.status, await r.text()]))", path
    )


def started(browser: Browser) -> bool:
    """Whether the server has a kernel that has reported itself ready and a page that listens to it."""
    status, body = fetch(browser, f"{URL}/api/kernels")
    return status == 200 and any(k["execution_state"] == "idle" and k["connections"] for k in json.loads(body))


def answer_to_cell(browser: Browser) -> Any:
    """Type the cell, run it, and look for its output; as a person does, once more where the page did not listen yet."""
    cell = css(".jp-Notebook .jp-Cell .cm-content")(browser)
    cell.click()
    browser.switch_to.active_element.send_keys(Keys.CONTROL + "a")
    browser.switch_to.active_element.send_keys(CELL)
    browser.switch_to.active_element.send_keys(Keys.SHIFT + Keys.RETURN)
    try:
        return wait(browser, "the cell's output", css(".jp-OutputArea-executeResult pre"), 15)
    except TimeoutException:
        return None


def strangers() -> None:
    browser = chromium()
    try:
        browser.get(URL)
        assert "ERR_CERT_AUTHORITY_INVALID" in browser.page_source, f"let through to {browser.title!r}"
        step("without the authority the browser refuses the certificate")
    finally:
        browser.quit()


def visit(browser: Browser) -> None:
    browser.get(URL)
    wait(browser, "the login page", css("input[name=password]"))
    assert "/login" in browser.current_url, browser.current_url
    step("with the authority the browser shows the login page, over TLS and without a warning")

    log_in(browser, "not the password")
    wait(browser, "the refusal", css(".message.error, .error"))
    status, _ = fetch(browser, f"{URL}/api/contents")
    assert status == 403, f"after a wrong password the files answer {status}"
    step("a wrong password stays outside")

    log_in(browser, (SHARED / "password").read_text())
    wait(browser, "JupyterLab", css("#jp-main-dock-panel"), 120)
    # The last visit's tabs are left closed.
    browser.get(f"{URL}/lab?reset")
    card = wait(browser, f"the launcher's card {KERNEL}", css(f".jp-LauncherCard[title^='{KERNEL}']"), 120)
    step("the password opens JupyterLab")

    card.click()
    wait(browser, "a notebook", css(".jp-Notebook .jp-Cell .cm-content"))
    wait(browser, "a kernel at work", started)
    output = wait(browser, "the cell's output", answer_to_cell, 120)
    assert FIRST_VALUE in output.text, output.text
    step(f"the book's cell answers {FIRST_VALUE} first")
    browser.save_screenshot(str(SHARED / "lab.png"))

    css("button[data-command='filebrowser:create-main-launcher'], jp-button[data-command='launcher:create']")(
        browser
    ).click()
    wait(browser, "the terminal's card", css(".jp-LauncherCard[title='Start a new terminal session']")).click()
    wait(browser, "a terminal", css(".jp-Terminal .xterm"))
    time.sleep(2)
    browser.switch_to.active_element.send_keys("id -un > written-in-the-terminal" + Keys.RETURN)

    def written(browser: Browser) -> str | None:
        status, body = fetch(browser, f"{URL}/api/contents/written-in-the-terminal")
        return str(json.loads(body)["content"]).strip() if status == 200 else None

    step(f"the terminal runs commands as {wait(browser, 'the command in the terminal', written, 30)}")
    browser.save_screenshot(str(SHARED / "terminal.png"))


def main() -> None:
    strangers()
    trust(SHARED / "ca.crt")
    browser = chromium()
    browser.set_script_timeout(20)
    try:
        visit(browser)
    except BaseException:
        browser.save_screenshot(str(SHARED / "failed.png"))
        raise
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
