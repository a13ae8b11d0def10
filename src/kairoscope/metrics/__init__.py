"""Scores of one answer, and what many of them say together."""
