"""Runs -> tables, plots, pages and the six-step recipe document. Pure: files in, text out."""
