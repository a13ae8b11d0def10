"""What holds for every page: closed elements, nothing from the network, only its own script."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

VOID = {"meta", "input", "br", "img", "link", "hr"}
SVG_SELF_CLOSED = {"rect", "line", "path", "circle"}


class Page(HTMLParser):
    """A parsed page: tags, attributes, texts of raw elements, numbers of `<data>` elements."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.json: list[str] = []
        self.numbers: list[float] = []
        self.text: list[str] = []
        self.tags: set[str] = set()
        self.feed(markup)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.numbers.append(float(dict(attrs)["value"] or ""))
        if tag == "script":
            kind = self.json if dict(attrs).get("type") == "application/json" else self.raw[tag]
            kind.append("")
            self._sink = kind
        if tag == "style":
            self.raw[tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_SELF_CLOSED | VOID, f"<{tag}/> is not closed in HTML"
        self.tags.add(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "script":
            self._sink[-1] += data
        elif inside == "style":
            self.raw["style"][-1] += data
        else:
            self.text.append(data)


def check_page(markup: str) -> Page:
    """Everything that no page may break; returns it parsed."""
    page = Page(markup)
    assert markup.startswith("<!DOCTYPE html>")
    names = {
        tag for tag in page.tags if tag in {"iframe", "object", "embed", "form", "base", "link"}
    }
    assert names == set()
    for _, key, value in page.attributes:
        assert not key.startswith("on"), f"{key} is a script"
        assert key != "style", "an inline style, which the policy forbids"
        if key in {"href", "src", "poster", "action", "data", "srcset"}:
            assert not re.match(r"\s*([a-z][a-z0-9+.-]*:|//|/)", value or "", re.IGNORECASE), value
    outside = markup.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"(src|href|url\(|import|fetch\()\W{0,3}(https?:)?//", outside)
    policy = next(v for tag, key, v in page.attributes if tag == "meta" and "default-src" in str(v))
    assert "default-src 'none'" in str(policy)
    for kind in ("script", "style"):
        for source in page.raw[kind]:
            digest = hashlib.sha256(source.encode()).digest()
            assert f"'sha256-{base64.b64encode(digest).decode()}'" in str(policy)
        assert len(page.raw[kind]) <= 1
    return page


def clips_of(page: Page) -> dict[str, Any]:
    """The data that the page's script draws."""
    assert len(page.json) == 1
    found: dict[str, Any] = json.loads(page.json[0])
    return found


def linked_files(page_file: Path, page: Page) -> list[Path]:
    """The files that a page's clips link to, as a browser resolves them."""
    videos = [clip["video"] for clip in clips_of(page)["clips"] if clip["video"]]
    assert all(not video.startswith("/") and ":" not in video for video in videos)
    return [page_file.parent / unquote(video) for video in videos]
