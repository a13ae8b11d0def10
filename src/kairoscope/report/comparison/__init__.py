"""One evaluation beside another, clip by clip."""
