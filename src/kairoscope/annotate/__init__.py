"""Videos and robot datasets -> boundaries of the events that a task names, each with a confidence."""

from kairoscope.annotate.tables import COLUMNS, Tally, write_boundaries
from kairoscope.annotate.videos import annotate, clip_row

__all__ = ["COLUMNS", "Tally", "annotate", "clip_row", "write_boundaries"]
