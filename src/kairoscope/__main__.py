"""`python -m kairoscope` is the same as the command."""

from kairoscope.cli import main

main()
