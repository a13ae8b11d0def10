"""The list of clips in a page: written in parts it is the same as written at once."""

import json
from typing import Any

from kairoscope.report.clips import ClipView, Order, Tag, clip_payload, payload_parts
from kairoscope.report.page import embedded_json, page_parts, render_page

ORDERS = [Order(name="as given", key="place")]
VIEWS = [
    ClipView(
        id=f"</script><b>{place}",
        scenario=f"task {place % 2}",
        video=None,
        duration_s=2.0,
        events=["x"],
        tags=[Tag(words="sure" if place else "doubtful")],
    )
    for place in range(3)
]


def parts_of(views: list[ClipView]) -> str:
    return "".join(
        payload_parts(
            views,
            ORDERS,
            0.1,
            scenarios={view.scenario for view in views},
            statuses={tag.words for view in views for tag in view.tags},
        )
    )


def test_parts_make_the_whole() -> None:
    for views in ([], VIEWS[:1], VIEWS):
        assert json.loads(parts_of(views)) == clip_payload(views, ORDERS, 0.1)
    assert "</script>" not in parts_of(VIEWS)


def test_a_page_in_parts_is_the_page() -> None:
    values: dict[str, Any] = {
        "heading": 'id="clips-data">',
        "facts": [],
        "cards": [],
        "confidence_plot": None,
    }
    template, payload = "annotation.html.jinja", embedded_json(clip_payload(VIEWS, ORDERS, 0.1))
    whole = render_page(template, title="t", payload=payload, **values)
    assert "".join(page_parts(template, [payload], title="t", **values)) == whole
