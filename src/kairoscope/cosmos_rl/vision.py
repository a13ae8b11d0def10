"""`[custom.vision]`, or its absence, as a frame policy."""

from typing import Any

from kairoscope.core import FramePolicy
from kairoscope.cosmos_rl.reading import Became, Reading, Row, Rule, shown

_V = "custom.vision."
SCRIPT_DEFAULT = {"fps": 1.0, "max_pixels": 81_920}
"""What the recipes' entry script takes where the table is absent."""
QWEN_FPS = 2.0
"""What qwen_vl_utils takes where the table has no fps."""
QWEN_MIN_PIXELS = 128 * 28 * 28
QWEN_TOTAL_PIXELS = 90_316_800
"""What qwen_vl_utils takes where the table has none; 0.9 * 128,000 vision tokens."""
FILE_FIELDS = ("fps", "max_frames", "total_pixels", "min_frame_pixels", "max_frame_pixels")
"""Fields of a policy that a file may set; stamps and clock are not in it."""


def _becomes(field: str, why: str = "") -> Any:
    return lambda _reading, value: Became("used", f"frames {field} = {shown(value)}", why)


def _refused(why: str) -> Any:
    return lambda _reading, _value: Became("refused", "", why)


def _size(_reading: Reading, _value: int) -> Became:
    why = "as the area height x width of every frame; a clip keeps its own shape"
    return Became("adapted", "frames min_frame_pixels = max_frame_pixels", why)


CUT = "labels would not move along; cut the clips and label what is left"
RULES: dict[str, Rule] = {
    f"{_V}fps": Rule(apply=_becomes("fps", "frames on display at 0, 1/fps, …"), kinds=(float,)),
    f"{_V}max_pixels": Rule(apply=_becomes("max_frame_pixels"), kinds=(int,)),
    f"{_V}min_pixels": Rule(apply=_becomes("min_frame_pixels"), kinds=(int,)),
    f"{_V}total_pixels": Rule(apply=_becomes("total_pixels"), kinds=(int,)),
    f"{_V}max_frames": Rule(apply=_becomes("max_frames"), kinds=(int,)),
    f"{_V}min_frames": Rule(
        apply=lambda _r, _v: Became("warning", "", "a short clip is not sampled faster than fps"),
        kinds=(int,),
    ),
    f"{_V}resized_height": Rule(apply=_size, kinds=(int,)),
    f"{_V}resized_width": Rule(apply=_size, kinds=(int,)),
    f"{_V}nframes": Rule(
        apply=_refused(
            "frames are taken at a rate, so that times mean the same in every clip; use fps"
        ),
        kinds=(int,),
    ),
    f"{_V}video_start": Rule(apply=_refused(CUT), kinds=(float,)),
    f"{_V}video_end": Rule(apply=_refused(CUT), kinds=(float,)),
}


def is_given(reading: Reading) -> bool:
    """Whether the file has the table."""
    return any(key.startswith(_V) for key in reading.given)


def file_policy(reading: Reading) -> dict[str, Any]:
    """The fields of a frame policy that cosmos-rl would train with, given the file."""
    table = {
        key.removeprefix(_V): value for key, value in reading.given.items() if key.startswith(_V)
    } or SCRIPT_DEFAULT
    most = table.get("max_pixels", 768 * 28 * 28)
    least = min(table.get("min_pixels", QWEN_MIN_PIXELS), most)
    if "resized_height" in table and "resized_width" in table:
        most = least = table["resized_height"] * table["resized_width"]
    return {
        "fps": float(table.get("fps", QWEN_FPS)),
        "max_frames": table.get("max_frames", 768),
        "total_pixels": table.get("total_pixels", QWEN_TOTAL_PIXELS),
        "min_frame_pixels": least,
        "max_frame_pixels": most,
    }


def most_vision_tokens(policy: FramePolicy) -> int:
    """Vision tokens of a clip that uses the whole pixel budget, with patches of 28 x 28."""
    return -(-policy.total_pixels // (28 * 28))


def frames_row(
    reading: Reading, meant: FramePolicy, evaluation: FramePolicy, *, allowed: bool
) -> Row:
    """What became of the file's frame policy as a whole."""
    other = [
        f"{name} {shown(getattr(meant, name))} (evaluation {shown(getattr(evaluation, name))})"
        for name in FILE_FIELDS
        if getattr(meant, name) != getattr(evaluation, name)
    ]
    given = is_given(reading)
    if not other:
        made = Became("used", "", "the same frames as in the evaluation")
    elif allowed:
        made = Became("used", "the file's own frames", f"asked for by name: {', '.join(other)}")
    elif given:
        why = f"training would see other frames than the evaluation: {', '.join(other)}"
        made = Became("refused", "", f"{why}; --allow-other-frames trains so all the same")
    else:
        why = (
            "cosmos-rl would train on 1 frame a second of at most 81,920 pixels, other frames than "
            "those of the evaluation; --allow-other-frames trains so all the same"
        )
        made = Became("adapted", "the evaluation's frames", why)
    return Row(
        key="custom.vision",
        value="(table)" if given else SCRIPT_DEFAULT,
        given=given,
        outcome=made.outcome,
        became=made.became,
        why=made.why,
    )
