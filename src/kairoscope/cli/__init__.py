"""The command line: verbs only. Every command imports what it needs when it runs."""

from kairoscope.cli.app import main

__all__ = ["main"]
