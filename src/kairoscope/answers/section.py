"""Which part of a model's text is its answer."""

import re

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]|\[(?:[0-9]{1,3};){1,4}[0-9]{1,3}m")
"""Terminal colours, also those whose escape character a log has lost."""
_ANSWER_TAG = re.compile(r"<\s?(/?)\s?answer\s?>", re.IGNORECASE)
_THINK_END = re.compile(r"<\s?/\s?think(?:ing)?\s?>", re.IGNORECASE)
_THINK_TAG = re.compile(r"<\s?/?\s?think(?:ing)?\s?>", re.IGNORECASE)
_DIGIT = re.compile(r"[0-9]")
_ANYTHING = re.compile(r"\S")


def answer_section(text: str, *, in_words: bool = False) -> str:
    """The part of `text` that is the answer, without reasoning, tags and terminal colours.

    The last `<answer>` block (closed or not) that has a digit in it, or where answers are `in_words`
    anything at all, of those after the reasoning if it has any there. Without one: what follows the
    last `</think>`; if that is blank, all.
    """
    needed = _ANYTHING if in_words else _DIGIT
    plain = _ANSI.sub("", text).replace("&lt;", "<").replace("&gt;", ">")
    after_thought = plain[_last_end(_THINK_END, plain) :]
    block = _last_block(after_thought, needed)
    if block is None and not needed.search(after_thought):
        block = _last_block(plain, needed)
    if block is None:
        block = after_thought if after_thought.strip() else plain
    return _THINK_TAG.sub("\n", _ANSWER_TAG.sub("\n", block))


def _last_end(pattern: re.Pattern[str], text: str) -> int:
    end = 0
    for match in pattern.finditer(text):
        end = match.end()
    return end


def _last_block(text: str, needed: re.Pattern[str]) -> str | None:
    """The last block with what is needed. It ends where its tag closes, or the next one opens."""
    tags = list(_ANSWER_TAG.finditer(text))
    for index in range(len(tags) - 1, -1, -1):
        closes = bool(tags[index][1])
        if closes and index > 0:
            continue  # what stands after a closed block is no block
        begin = 0 if closes else tags[index].end()  # closed but never opened: from the beginning
        following = index if closes else index + 1
        end = tags[following].start() if following < len(tags) else len(text)
        if needed.search(text, begin, end):
            return text[begin:end]
    return None
