"""Scores of one answer (`errors`), of one clip (`clips`), and of all together (`summary`)."""

from kairoscope.metrics.errors import EventErrors, answer_scores, event_errors
from kairoscope.metrics.summary import summarize

__all__ = ["EventErrors", "answer_scores", "event_errors", "summarize"]
