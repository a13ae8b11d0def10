"""Prompts from a file, in the form in which the recipes bring theirs.

    system_prompt: |
      ...
    user_prompt: |
      You should find the following {n} events in the input video
      {events}

`{events}` becomes one line an event (`Event 1: grasping the red cube`), `{n}` their number. A
user prompt without `{events}` has to hold the names of the events itself. The video stands before
the user prompt, as in the recipes' conversations.
"""

from collections.abc import Callable
from pathlib import Path

from kairoscope.core import Prompt, UserError
from kairoscope.events import Query, listed, normalised

KEYS = ("system_prompt", "user_prompt")
EVENTS, COUNT = "{events}", "{n}"


def prompt_from_yaml(path: Path) -> Callable[[Query], Prompt]:
    """A task's `prompt` function that uses the texts of a YAML file.

    Raises:
        UserError: the file cannot be read, is no YAML mapping, has an unknown key or lacks
            `user_prompt`; and, when asked about events that a prompt of its own list lacks.
    """
    texts = _texts(path)
    system, user = texts.get("system_prompt", "").strip(), texts["user_prompt"].strip()

    def prompt(query: Query) -> Prompt:
        if EVENTS not in user:
            _check_named(path, user, query)
        after = user.replace(COUNT, str(len(query))).replace(EVENTS, listed(query))
        return Prompt(system=system, after=after)

    return prompt


def _check_named(path: Path, user: str, query: Query) -> None:
    """A prompt about other events than those that are scored would measure nothing."""
    text = f" {normalised(user)} "
    for name in query:
        if f" {normalised(name)} " not in text:
            raise UserError(
                f"{path}: user_prompt does not name the event {name!r}; "
                f"write it there, or {EVENTS} where the list of events belongs"
            )


def _texts(path: Path) -> dict[str, str]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start + 1})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not YAML: {reason}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected a mapping with {' and '.join(KEYS)}")
    unknown = [key for key in found if key not in KEYS]
    if unknown:
        raise UserError(f"{path}: unknown key {unknown[0]!r}; allowed: {', '.join(KEYS)}")
    for key in KEYS:
        value = found.get(key, "" if key == "system_prompt" else None)
        if not isinstance(value, str) or (key == "user_prompt" and not value.strip()):
            raise UserError(f"{path}: {key} is {value!r}; allowed: text")
    return found
