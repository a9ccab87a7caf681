"""Uses the page at / in headless Chromium, as its users do. `page.py CASE URL FACTS`: FACTS is JSON of what was sent.

Called by io/tests/page.rs, which starts the daemon. Ends with 0, or with what is not as it should be.
"""

import json
import shutil
import sys
import tempfile
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

WAIT_SECONDS = 30
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()


def program(*names):
    for name in names:
        if found := shutil.which(name):
            return found
    sys.exit(f"{names[0]} is missing: the page is tested in Chromium; apt-get install chromium chromium-driver")


class Page:
    """A browser with the page open."""

    def __init__(self, url, directory, width=1280, height=800, touch=False):
        self.url = url
        options = webdriver.ChromeOptions()
        options.binary_location = program("chromium", "chromium-browser", "google-chrome")
        for flag in [*FLAGS, f"--user-data-dir={directory}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, hash=""):
        self.browser.get(self.url + "/" + hash)

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)

    def wait(self, what, condition):
        """Waits for what has no event of its own outside the page."""
        last = {}

        def holds(_):
            last["seen"] = condition()
            return bool(last["seen"])

        try:
            WebDriverWait(self.browser, WAIT_SECONDS, poll_frequency=0.05).until(holds)
        except Exception:
            shown = self.run("return document.body.innerText")
            raise AssertionError(f"{what}: not within {WAIT_SECONDS} s; the page shows:\n{shown}") from None
        return last["seen"]

    def press(self, *keys):
        for key in keys:
            self.browser.switch_to.active_element.send_keys(key)

    def focused(self, *path):
        return self.run("return document.activeElement." + ".".join(path or ["id"]))

    def rows(self):
        """The open table of values, oldest first: [time, texts]."""
        return self.run("""return [...document.querySelectorAll('.values tbody tr')].reverse().map(
            row => [Number(row.dataset.time), [...row.querySelectorAll('td')].map(cell => cell.textContent)])""")

    def check_console(self):
        errors = [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert not errors, errors


def values_of(rows, column=0):
    """By time: what a column of the table shows; nothing where it shows a gap."""
    return {time: float(texts[column].replace("\u202f", "")) for time, texts in rows if texts[column] != "–"}


def click_through(page, facts):
    """Cluster, host, metric: the plot has the values that were sent, then also one that is sent later."""
    page.open()
    page.wait("clusters", lambda: page.texts("#clusters button") == ["alex (2)", "fritz (3)"])
    page.one("#clusters li:last-child button").click()
    states = {"f0201": "full", "f0202": "partial", "f0203": "failed"}
    seen = "return Object.fromEntries([...document.querySelectorAll('.host')].map(e => [e.dataset.host, e.dataset.state]))"
    page.wait("health", lambda: page.run(seen) == states)
    assert page.texts("#summary") == ["3 hosts: 1 full, 1 partial, 1 failed"]
    marks = page.run("return [...document.querySelectorAll('.host')].map(e => getComputedStyle(e, '::before').content)")
    assert len(set(marks)) == 3, f"states differ by more than colour: {marks}"
    page.one('[data-host="f0202"]').click()
    page.wait("reason", lambda: "missing: mem_bw" in page.texts("#host-health")[0])

    page.one("#find").send_keys("*01")
    page.wait("search", lambda: page.texts(".host") == ["f0201"])
    page.one('[data-host="f0201"]').click()
    scopes = {"cpu_load": ["node"], "flops_any": ["node (sum)", "hwthread ×12"], "mem_bw": ["node (sum)", "socket ×2"]}
    seen = """return Object.fromEntries([...document.querySelectorAll('#metrics li')].map(
        e => [e.dataset.metric, [...e.querySelectorAll('button')].map(b => b.textContent)]))"""
    page.wait("metrics and scopes", lambda: page.run(seen) == scopes)

    page.one('[data-metric="cpu_load"] [data-scope="node"]').click()
    page.wait("plot", lambda: page.texts(".plot path.series"))
    path = page.run("return document.querySelector('.plot path.series').getAttribute('d')")
    assert path.count("M") == 2, f"a gap is a gap: {path}"
    page.one(".figure summary").click()
    sent = {int(time): value for time, value in facts["cpu_load"].items()}
    shown = values_of(page.wait("table", page.rows))
    slots = {time // 60: value for time, value in shown.items()}
    assert slots == {time // 60: value for time, value in sent.items()}, (shown, sent)
    page.check_console()

    # Many series are a band, until each is wanted.
    page.one('[data-metric="flops_any"] [data-scope="hwthread"]').click()
    page.wait("band", lambda: page.texts(".figure:nth-child(2) path.band"))
    page.one(".figure:nth-child(2) summary").click()
    columns = page.wait("its table", lambda: page.texts(".figure:nth-child(2) thead th"))
    assert columns == ["Time", "max", "avg", "min"], columns
    last = page.texts(".figure:nth-child(2) tbody tr:first-child td")
    assert last == ["11", "5.5", "0"], last
    page.one(".figure:nth-child(2) button[aria-pressed]").click()
    page.wait("lines", lambda: len(page.texts(".figure:nth-child(2) .plot path.series")) == 12)

    # The pointer shows time and values.
    page.run("""const plot = document.querySelector('.plot'), box = plot.getBoundingClientRect();
        plot.dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 14, clientY: box.top + 40}))""")
    assert f"{facts['last']:g}" in page.texts(".tip")[0], page.texts(".tip")

    # A new sample appears by itself; the focus stays where it is, and the address shows the same to others.
    page.open("#cluster=alex&host=a0601&range=900&plot=clock%40node")
    page.browser.refresh()
    page.wait("live plot", lambda: page.texts(".plot path.series"))
    page.one(".figure summary").click()
    page.run("document.querySelector('#metrics button').focus()")
    for value in ["1234.5", "4321.5"]:
        line = f"clock,cluster=alex,hostname=a0601,type=node value={value}"
        urllib.request.urlopen(urllib.request.Request(page.url + "/api/write", data=line.encode())).read()
        page.wait("new sample", lambda: float(value) in values_of(page.rows()).values())
        assert page.focused("dataset", "scope") == "node", "the focus is where it was"
    assert "cluster=alex&host=a0601" in page.browser.current_url
    page.check_console()
    picture = page.browser.get_screenshot_as_png()
    assert len(picture) > 10_000, "a screenshot has something on it"


def keyboard(page, facts):
    """From the address bar to the values with keys alone."""
    page.open()
    page.wait("clusters", lambda: page.texts("#clusters button"))
    # Keys go to the body, where a browser's focus is after loading.
    tab_to(page, "document.activeElement.closest('#clusters li:last-child')")
    page.press(Keys.ENTER)
    page.wait("hosts", lambda: len(page.texts('.host[data-state="full"]')) == 1)
    outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "where the focus is can be seen"
    tab_to(page, "document.activeElement.classList.contains('host')")
    assert page.focused("dataset", "host") == "f0201"
    page.press(Keys.ARROW_RIGHT)
    assert page.focused("dataset", "host") == "f0202"
    page.press(Keys.END)
    assert page.focused("dataset", "host") == "f0203"
    page.press(Keys.HOME, Keys.ENTER)
    page.wait("metrics", lambda: page.texts("#metrics button"))
    tab_to(page, "document.activeElement.closest('[data-metric=\"cpu_load\"]')")
    page.press(Keys.SPACE)
    page.wait("plot", lambda: page.texts(".plot path.series"))
    tab_to(page, "document.activeElement.getAttribute('role') === 'slider'")
    spoken = lambda: page.run("return document.activeElement.getAttribute('aria-valuetext')")
    assert f"f0201 {facts['last']:g}" in spoken(), spoken()
    page.press(Keys.HOME)
    assert f"f0201 {facts['first']:g}" in spoken(), spoken()
    page.press(Keys.ARROW_RIGHT)
    assert f"f0201 {facts['second']:g}" in spoken(), spoken()
    unnamed = page.run("""return [...document.querySelectorAll('button, input, select, textarea, [role]')].filter(e =>
        e.offsetParent && !(e.textContent.trim() || e.labels?.length || e.getAttribute('aria-label'))).map(e => e.outerHTML)""")
    assert not unnamed, f"controls without a name: {unnamed}"
    page.check_console()


def tab_to(page, condition):
    for _ in range(60):
        page.press(Keys.TAB)
        if page.run(f"return Boolean({condition})"):
            return
    raise AssertionError(f"the tab key does not lead to {condition}")


def phone(page, facts):
    """One column, nothing beside it, targets large enough for a finger."""
    page.open("#cluster=fritz&host=f0201&range=900&plot=cpu_load%40node&plot=flops_any%40hwthread")
    page.wait("plots", lambda: len(page.texts(".plot path.series")) == 2 and page.texts('.host[data-state="full"]'))
    width, shown = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= shown, f"scrolls sideways: {width} of {shown}"
    small = page.run("""return [...document.querySelectorAll('button, .host, input, select, summary')].filter(e => e.offsetParent)
        .map(e => [e.getBoundingClientRect(), e.outerHTML]).filter(([box]) => box.height < 43.9 || box.width < 40).map(([box, html]) => [box.height, box.width, html])""")
    assert not small, f"too small: {small}"
    lefts = page.run("return [...document.querySelectorAll('main section')].filter(e => e.offsetParent).map(e => e.getBoundingClientRect().left)")
    assert len(set(lefts)) == 1, f"one column: {lefts}"
    page.check_console()


def token(page, facts):
    """The page asks for a token and keeps it for this tab only."""
    page.open()
    page.wait("question", lambda: page.run("return document.getElementById('token-dialog').open"))
    page.one("#token-text").send_keys("wrong" + Keys.ENTER)
    page.wait("another question", lambda: page.run("return document.getElementById('token-dialog').open && sessionStorage.length === 1"))
    page.one("#token-text").send_keys(facts["token"] + Keys.ENTER)
    page.wait("clusters", lambda: page.texts("#clusters button") == ["alex (2)", "fritz (3)"])
    assert page.run("return [localStorage.length, document.cookie]") == [0, ""]
    page.browser.refresh()
    page.wait("clusters again", lambda: page.texts("#clusters button"))
    assert not page.run("return document.getElementById('token-dialog').open")


CASES = {"click_through": (click_through, {}), "keyboard": (keyboard, {}), "token": (token, {}),
         "phone": (phone, {"width": 390, "height": 844, "touch": True})}


def main():
    case, url, facts = sys.argv[1:]
    act, options = CASES[case]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        page = Page(url, directory, **options)
        try:
            act(page, json.loads(facts))
        finally:
            page.browser.quit()


main()
