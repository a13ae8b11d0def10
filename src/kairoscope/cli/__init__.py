"""The command line: verbs only. Every command imports what it needs when it runs."""

from kairoscope.cli.interrupt import stop, watch_for_ctrl_c


def main() -> None:
    """The entry point. Ctrl-C is taken care of before anything that takes time is imported."""
    watch_for_ctrl_c()
    try:
        from kairoscope.cli.ending import run_command

        run_command()
    except KeyboardInterrupt:
        stop()
