"""One table, page and plot of many settings."""
