"""Chromium without a window, told what to do through a pipe (the DevTools protocol)."""

import fcntl
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run", "--mute-audio"),
    "--remote-debugging-pipe",
)
KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Enter": 13,
    " ": 32,
}
SHIFT = 8


def program() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Pipe:
    """What goes to the browser and comes back."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._number = 0
        self._rest = b""

    def call(self, session: str | None, method: str, parameters: dict[str, Any]) -> Any:
        """Send a command and wait for its result, for at most 30 s."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read(method))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self, method: str) -> bytes:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], 30)
            assert ready, f"no answer to {method}"
            data = os.read(self._from, 1 << 16)
            assert data, "the browser has ended"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return message

    def close(self) -> None:
        """Close both ends."""
        os.close(self._to)
        os.close(self._from)


class Tab:
    """One page."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        target = pipe.call(None, "Target.createTarget", {"url": "about:blank"})["targetId"]
        about = {"targetId": target, "flatten": True}
        self._session = pipe.call(None, "Target.attachToTarget", about)["sessionId"]

    def call(self, method: str, **parameters: Any) -> Any:
        """Send a command to the page and wait for its result."""
        return self._pipe.call(self._session, method, parameters)

    def run(self, script: str) -> Any:
        """What an expression, or a promise, comes to. What it throws fails the test."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for a condition, for at most 20 s."""
        waiting = (
            "(async () => { const end = Date.now() + 20000; "
            f"while (!({condition})) {{ if (Date.now() > end) return false; "
            "await new Promise((r) => setTimeout(r, 20)); } return true; })()"
        )
        assert self.run(waiting), condition

    def go(self, address: str) -> None:
        """Open an address."""
        self.call("Page.navigate", url=address)

    def size(self, width: int, height: int) -> None:
        """Of the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key and let it go."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        about = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, 0), "modifiers": SHIFT * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def drag(self, selector: str, by_x: float) -> None:
        """Take the middle of an element and move it to the right."""
        place = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.run(f"(() => {{ const b = {place}; return [b.x + b.width / 2, b.y + 9]; }})()")
        for kind, at_x in (
            ("mousePressed", x),
            ("mouseMoved", x + by_x / 2),
            ("mouseMoved", x + by_x),
            ("mouseReleased", x + by_x),
        ):
            button: dict[str, Any] = {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=at_x, y=y, buttons=1, **button)


@contextmanager
def browser(profile: Path) -> Iterator[Pipe]:
    """A new browser with a profile of its own."""
    found = program()
    assert found is not None
    here, there = os.pipe(), os.pipe()  # to the browser, from the browser
    reads = fcntl.fcntl(here[0], fcntl.F_DUPFD, 60)
    writes = fcntl.fcntl(there[1], fcntl.F_DUPFD, 60)
    os.close(here[0])
    os.close(there[1])
    words = " ".join((found, *FLAGS, f"'--user-data-dir={profile}'", "about:blank"))
    process = subprocess.Popen(
        ["bash", "-c", f"exec 3<&{reads} 4>&{writes}; exec {words}"],
        pass_fds=(reads, writes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(reads)
    os.close(writes)
    pipe = Pipe(here[1], there[0])
    try:
        yield pipe
    finally:
        process.terminate()
        process.wait(20)
        pipe.close()
