"""A real browser for tests: headless Chromium, driven by the DevTools protocol over a pipe."""

import base64
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = shutil.which("chromium") or ""
_TIMEOUT_S = 60.0
# Nothing of it may ask the network: neither its updates nor its services.
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--no-default-browser-check", "--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--no-proxy-server",
)  # fmt: skip


class Browser:
    """A running Chromium. It ends with `close`, and whatever it wrote is under `folder`."""

    def __init__(self, folder: Path) -> None:
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        for descriptor in (read_commands, write_answers):
            os.set_inheritable(descriptor, True)
        command = [PROGRAM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT, 0o600)
        # Chromium reads commands from descriptor 3 and answers on 4; they must not be taken while they are moved there.
        high = [os.dup(descriptor) if descriptor < 5 else descriptor for descriptor in (read_commands, write_answers)]
        actions = [
            (os.POSIX_SPAWN_DUP2, high[0], 3),
            (os.POSIX_SPAWN_DUP2, high[1], 4),
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
        ]
        environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        self._process = os.posix_spawn(PROGRAM, command, environment, file_actions=actions, setpgroup=0)
        for descriptor in {read_commands, write_answers, log, *high}:
            os.close(descriptor)
        self._held = b""
        self._serial = 0
        self.events: list[dict] = []

    def send(self, method: str, session: str = "", **parameters: object) -> dict:
        """Send a command and return what it answers."""
        self._serial += 1
        message = {"id": self._serial, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._serial:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self.events.append(answer)

    def wait(self, method: str, session: str) -> None:
        """Wait for an event."""
        while not any(event.get("method") == method and event.get("sessionId") == session for event in self.events):
            self.events.append(self._receive())

    def close(self) -> None:
        """End the browser."""
        os.close(self._commands)  # it leaves when the pipe does
        os.close(self._answers)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for _ in range(50):
                if os.waitpid(self._process, os.WNOHANG)[0]:
                    return
                time.sleep(0.05)
            os.killpg(self._process, number)
        os.waitpid(self._process, 0)

    def _receive(self) -> dict:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._answers], [], [], _TIMEOUT_S)
            assert ready, "the browser does not answer"
            chunk = os.read(self._answers, 1 << 20)
            assert chunk, "the browser has ended"
            self._held += chunk
        message, _, self._held = self._held.partition(b"\0")
        return json.loads(message)


@dataclass
class Page:
    """A page that was opened. `seconds` is how long it took until its scripts had run."""

    browser: Browser
    session: str
    seconds: float = field(default=0.0)

    def run(self, script: str) -> object:
        """Run a script in the page and return what it comes to."""
        answer = self.browser.send(
            "Runtime.evaluate", self.session, expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int = 0) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            self.browser.send(
                "Input.dispatchKeyEvent", self.session, type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Take a picture."""
        shot = self.browser.send("Page.captureScreenshot", self.session, captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path: Path) -> None:
        """Print."""
        path.write_bytes(base64.b64decode(self.browser.send("Page.printToPDF", self.session)["data"]))

    @property
    def problems(self) -> list[str]:
        """What the browser complained of: errors, refusals of the content security policy, exceptions."""
        self.run("0")  # what has happened so far has been told
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            match event["method"]:
                case "Log.entryAdded":
                    found.append(event["params"]["entry"]["text"])
                case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Page.javascriptDialogOpening":
                    found.append(json.dumps(event["params"]))
        return found

    @property
    def requests(self) -> list[str]:
        """Every address that was asked for."""
        self.run("0")
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events
            if event.get("sessionId") == self.session and event["method"] == "Network.requestWillBeSent"
        ]


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Run a browser with nothing in its past."""
    browser = Browser(folder)
    try:
        yield browser
    finally:
        browser.close()


def open_page(
    browser: Browser, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False, scripts: bool = True
) -> Page:
    """Open a file and wait until it is loaded."""
    target = browser.send("Target.createTarget", url="about:blank")["targetId"]
    session = browser.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.send(f"{domain}.enable", session)
    phone = width < 600
    browser.send(
        "Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=phone
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.send("Emulation.setEmulatedMedia", session, features=[scheme])
    browser.send("Emulation.setScriptExecutionDisabled", session, value=not scripts)
    started = time.monotonic()
    browser.send("Page.navigate", session, url=path.as_uri())
    browser.wait("Page.loadEventFired", session)
    page = Page(browser, session)
    if scripts:
        page.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    page.seconds = time.monotonic() - started
    return page
