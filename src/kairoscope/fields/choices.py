"""The letters under which the choices of a question are shown. Pure."""

from typing import Final

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""As many choices as a question may have."""
