"""Templates -> one HTML file that needs no network and runs no script but its own.

The page's content security policy names its style and its script by their digest: whatever an
event's name or a model's answer may hold, nothing else runs, and nothing is fetched but the clips.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kairoscope.report.figures import shown
from kairoscope.report.svg import printable

NO_VALUE = "–"
DATA_MARK = 'id="clips-data">'
"""Where the template of the list of clips has its JSON."""


def render_page(
    template: str,
    *,
    title: str,
    styles: tuple[str, ...] = ("chart.css", "page.css"),
    scripts: tuple[str, ...] = (),
    **values: Any,
) -> str:
    """A template with its style sheets and scripts inside. `svg` values must be `Markup`."""
    style = "\n".join(_source(name) for name in styles)
    code = "".join(_source(name) for name in scripts)
    allowed_script = f"'{_digest(code)}'" if code else "'none'"
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src {allowed_script}; "
        "img-src data:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            policy=Markup(policy),
            style=Markup(style),
            script=Markup(code),
            made_by=f"Made by kairoscope {version('kairoscope')} from the files of the run alone.",
            **values,
        )
    )


def page_parts(template: str, payload: Iterable[str], **values: Any) -> Iterator[str]:
    """`render_page` in parts, for one whose list of clips is too long to be in memory as a whole.

    `payload` is the JSON of `embedded_json`, in parts. No text on the page can hold the mark at which
    it goes in, because its quotation marks would be escaped.
    """
    before, mark, after = render_page(template, payload="", **values).partition(DATA_MARK)
    yield before + mark
    yield from payload
    yield after


def embedded_json(value: Any) -> Markup:
    """JSON that may stand in a script element: no character in it can end or open one."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}


def svg(markup: str) -> Markup:
    """A plot of `report.plots` as it stands: its texts are escaped where it is made."""
    return Markup(markup)


@cache
def _source(name: str) -> str:
    return files("kairoscope.report").joinpath("templates", name).read_text("utf-8").strip()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode(
        "ascii"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kairoscope.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = printable
    environment.filters["prose"] = prose
    environment.filters["value"] = value
    environment.filters["interval"] = interval
    environment.filters["percent"] = lambda share: value(100 * share, "%")
    return environment


def prose(text: str) -> str:
    """Text of our own wording: a number and its percent sign stay on one line."""
    return re.sub(r"(?<=\d) (?=%)", "\u00a0", printable(text))


def value(number: float | None, unit: str = "") -> Markup:
    """A number for people, with the exact one beside it for programs: `<data value=...>`."""
    if number is None:
        return Markup('<span class="none">–</span>')
    return Markup('<data value="{}">{}</data>').format(repr(float(number)), shown(number, unit))


def interval(ends: tuple[float, float] | list[float] | None, unit: str = "") -> str:
    """`8.1 to 11.9`, or nothing where there is no interval."""
    return (
        ""
        if ends is None
        else f"{shown(ends[0], unit, bare=True)} to {shown(ends[1], unit, bare=True)}"
    )
