"""Videos and robot datasets -> boundaries of the events that a task names, each with a confidence."""

from kairoscope.annotate.videos import COLUMNS, Tally, annotate, clip_row, write_boundaries

__all__ = ["COLUMNS", "Tally", "annotate", "clip_row", "write_boundaries"]
