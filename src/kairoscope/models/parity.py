"""Whether an engine fed its model what our own preprocessing would have, and kept to the constraint.

An engine that samples again, loses the rate of the frames, writes another prompt or takes a constraint
and ignores it still answers, only worse. So each is asked what it fed, the answer is compared with
`chat.encode` on our own frames (of a model whose files are not seen from here, with the tokens that
the frames alone make), and a difference ends the run unless it is allowed by name.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from kairoscope.core import Template, UserError
from kairoscope.models.chat import VIDEO_PAD, Encoded, Encoder, text_ids
from kairoscope.models.grammar import answer_part, violation
from kairoscope.models.server.options import ServerOptions

Kind = Literal["frames", "prompt", "time", "constraint"]
"""What may differ.

`frames`: another number of frames or of vision tokens. `prompt`: other words or other tokens around
them. `time`: other temporal positions. `constraint`: answers outside the template.
"""
KINDS: tuple[Kind, ...] = get_args(Kind)
OTHER_FRAMES, UNCONSTRAINED = "--allow-other-frames", "--allow-unconstrained"
OPTION: Mapping[Kind, str] = {
    "frames": OTHER_FRAMES,
    "prompt": OTHER_FRAMES,
    "time": OTHER_FRAMES,
    "constraint": UNCONSTRAINED,
}
"""With what a user goes on knowingly."""
ADVICE: Mapping[Kind, str] = {
    "frames": "the engine samples or resizes again: give it frames that it must take as they are, "
    "with its own sampling and resizing turned off",
    "prompt": "the engine's chat template or tokenizer is another one: serve the checkpoint's own",
    "time": "the engine's clock is another one: tell it the rate at which frames were sampled",
    "constraint": "the engine takes the constraint and ignores it: use one that knows "
    "`structured_outputs` (the older `guided_regex` is ignored), or --decoding free",
}


class Mismatch(UserError):
    """An engine does something else than it was asked, without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One comparison."""

    what: str
    expected: str
    found: str
    good: bool | None
    """None: the engine does not tell."""
    kind: Kind | None = None
    """Of what kind a difference is, where it ends a run."""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What an engine says that it fed its model; None where it does not say."""

    num_prompt_tokens: int | None = None
    """Vision tokens included."""
    token_ids: tuple[int, ...] | None = None
    temporal_ids: tuple[int, ...] | None = None
    """Temporal position of each temporal patch, relative to the first."""


def compare(encoder: Encoder, expected: Encoded, fed: Fed) -> tuple[Check, ...]:
    """What an engine fed beside what we would have.

    Args:
        encoder: of the model that answers.
        expected: the same prompt and frames through `chat.encode`.
        fed: the engine's word.
    """
    checks = [_vision(encoder, expected, fed)]
    if fed.token_ids is not None:
        checks.append(_words(encoder, expected.token_ids, fed.token_ids))
    checks.append(_time(expected, fed.temporal_ids))
    return tuple(checks)


def compare_frames(num_patches: int, tokens_per_patch: int, fed: Fed) -> tuple[Check, ...]:
    """As `compare`, of a model whose tokenizer is not seen from here: its vision tokens alone.

    Where token ids are told, vision is the one that stands there most often. Where they are not, a prompt
    that is shorter than its vision tokens cannot hold them, and nothing is known of a longer one.

    Args:
        num_patches: temporal patches that the frames make, one at least.
        tokens_per_patch: vision tokens of each.
        fed: the engine's word.
    """
    want = num_patches * tokens_per_patch
    what, wanted = "vision tokens", _patches(num_patches, tokens_per_patch)
    if fed.token_ids:
        found = Counter(fed.token_ids).most_common(1)[0][1]
        return (_check(what, wanted, str(found), "frames", good=found == want),)
    if fed.num_prompt_tokens is not None and fed.num_prompt_tokens < want:
        found_text = f"a prompt of {fed.num_prompt_tokens}"
        return (_check(what, wanted, found_text, "frames", good=False),)
    return (Check(what=what, expected=wanted, found="not told", good=None),)


def _patches(num_patches: int, tokens_per_patch: int) -> str:
    patches = f"{num_patches} temporal patches of {tokens_per_patch}"
    return f"{num_patches * tokens_per_patch} ({patches})"


def temporal_ids_of(expected: Encoded) -> tuple[int, ...]:
    """Temporal position of each temporal patch, relative to the first."""
    ids = [int(expected.positions_3L[0, start]) for start in expected.vision_starts]
    return tuple(i - ids[0] for i in ids)


def _vision(encoder: Encoder, expected: Encoded, fed: Fed) -> Check:
    """Vision tokens, counted where the engine names its tokens, else from the sum of all."""
    want = expected.num_vision_tokens
    patches = _patches(len(expected.vision_starts), expected.tokens_per_patch)
    what, wanted = "vision tokens", patches
    if fed.token_ids is not None:
        found = fed.token_ids.count(text_ids(encoder, VIDEO_PAD)[0])
        return _check(what, wanted, str(found), "frames", good=found == want)
    if fed.num_prompt_tokens is None:
        return Check(what=what, expected=wanted, found="not told", good=None)
    gap = fed.num_prompt_tokens - len(expected.token_ids)
    # Without the tokens themselves: frames that are lost or added come in whole patches.
    size = expected.tokens_per_patch
    kind: Kind = "frames" if size and not gap % size else "prompt"
    wanted = f"{len(expected.token_ids)}, vision among them {patches}"
    found_text = f"{fed.num_prompt_tokens} ({gap:+d})" if gap else str(fed.num_prompt_tokens)
    return _check("prompt tokens", wanted, found_text, kind, good=gap == 0)


def _words(encoder: Encoder, expected: Sequence[int], found: Sequence[int]) -> Check:
    """The tokens around the video; the video itself is counted by `_vision`."""
    pad = text_ids(encoder, VIDEO_PAD)[0]
    want, have = (_without_repeats(ids, pad) for ids in (expected, found))
    if want == have:
        return Check(
            what="words of the prompt",
            expected=f"{len(want)} tokens",
            found="the same",
            good=True,
            kind="prompt",
        )
    at = next((i for i, (a, b) in enumerate(zip(want, have, strict=False)) if a != b), None)
    at = min(len(want), len(have)) if at is None else at
    wanted, got = (repr(_decoded(encoder, ids[max(0, at - 2) : at + 6])) for ids in (want, have))
    return _check("words of the prompt", wanted, f"{got} at token {at}", "prompt", good=False)


def _without_repeats(ids: Sequence[int], pad: int) -> list[int]:
    return [i for n, i in enumerate(ids) if i != pad or n == 0 or ids[n - 1] != pad]


def _decoded(encoder: Encoder, ids: Sequence[int]) -> str:
    return str(encoder.tokenizer.decode(list(ids), skip_special_tokens=False))


def _time(expected: Encoded, found: tuple[int, ...] | None) -> Check:
    want = temporal_ids_of(expected)
    if found is None:
        return Check(what="temporal positions", expected=_some(want), found="not told", good=None)
    return _check("temporal positions", _some(want), _some(found), "time", good=found == want)


def _some(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:6]))
    return shown if len(ids) <= 6 else f"{shown}, …, {ids[-1]}"


def _check(what: str, expected: str, found: str, kind: Kind, *, good: bool) -> Check:
    advice = "" if good else ADVICE[kind]
    return Check(what=what, expected=expected, found=found, good=good, kind=kind, advice=advice)


def kept_to(template: Template, texts: Iterable[str], *, reasoning: bool = False) -> Check:
    """Whether answers are the template's, but for the order of times, which a regex cannot say.

    Args:
        template: what they were constrained to.
        texts: answers that ended by themselves; one that was cut off is no proof.
        reasoning: a block of reasoning comes before the part that is constrained.
    """
    expected = "answers of the template"
    for text in texts:
        part = answer_part(text) if reasoning else text
        reason = violation(template, part, order=False)
        if reason is not None:
            return _check("constraint", expected, reason, "constraint", good=False)
    return _check("constraint", expected, "kept", "constraint", good=True)


def advised(checks: Iterable[Check], advice: Mapping[Kind, str]) -> tuple[Check, ...]:
    """The same, with what to do about a difference in one engine's own words, where it has some."""
    return tuple(
        replace(check, advice=advice[check.kind])
        if check.good is False and check.kind is not None and check.kind in advice
        else check
        for check in checks
    )


def allowed_kinds(options: ServerOptions) -> frozenset[Kind]:
    """Kinds of difference that the user takes knowingly."""
    given = {
        OTHER_FRAMES: options.allow_other_frames,
        UNCONSTRAINED: options.allow_unconstrained,
    }
    return frozenset(kind for kind in KINDS if given[OPTION[kind]])


def insist(checks: Iterable[Check], about: str, allowed: Collection[str] = ()) -> None:
    """Raise Mismatch for the first difference that is not allowed by name.

    Args:
        checks: comparisons; one that could not be made passes.
        about: whose they are, such as `vllm:model, clip lift-3`.
        allowed: kinds of difference that the user takes knowingly.
    """
    for check in checks:
        if check.good is False and check.kind is not None and check.kind not in allowed:
            raise Mismatch(
                f"{about}: {check.what}: expected {check.expected}, found {check.found}; "
                f"{check.advice} (or go on knowingly with {OPTION[check.kind]})"
            )
