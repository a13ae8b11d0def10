"""The words of the simulated world: task families, colours and the tones of table, floor and arm."""

from typing import Final

FAMILY_UNSEEN: Final = "press"
"""The family kept out of the built-in model's training, so that a demo can show an unseen task."""
FAMILIES_SEEN: Final[tuple[str, ...]] = ("stack", "place", "insert", "push", "open")
FAMILIES: Final[tuple[str, ...]] = (*FAMILIES_SEEN, FAMILY_UNSEEN)

Rgb = tuple[float, float, float]
"""Linear red, green, blue in 0..1."""

COLOURS: Final[dict[str, Rgb]] = {
    "red": (0.85, 0.06, 0.06),
    "green": (0.08, 0.62, 0.14),
    "blue": (0.08, 0.18, 0.88),
    "yellow": (0.96, 0.86, 0.06),
    "orange": (0.98, 0.46, 0.02),
    "purple": (0.46, 0.10, 0.62),
    "white": (0.96, 0.96, 0.96),
    "black": (0.05, 0.05, 0.06),
    "pink": (0.98, 0.45, 0.68),
    "cyan": (0.08, 0.80, 0.86),
}

TABLES: Final[tuple[Rgb, ...]] = (
    (0.55, 0.42, 0.30),
    (0.72, 0.60, 0.46),
    (0.42, 0.31, 0.22),
    (0.62, 0.62, 0.60),
    (0.42, 0.44, 0.46),
    (0.32, 0.33, 0.36),
    (0.78, 0.77, 0.73),
    (0.50, 0.56, 0.60),
    (0.52, 0.56, 0.46),
)
FLOORS: Final[tuple[Rgb, ...]] = (
    (0.30, 0.30, 0.32),
    (0.55, 0.53, 0.50),
    (0.20, 0.24, 0.30),
    (0.42, 0.34, 0.28),
    (0.70, 0.70, 0.72),
    (0.30, 0.38, 0.34),
)
ARMS: Final[tuple[Rgb, ...]] = (
    (0.85, 0.85, 0.87),
    (0.70, 0.72, 0.75),
    (0.30, 0.31, 0.34),
    (0.16, 0.17, 0.20),
    (0.62, 0.66, 0.72),
    (0.80, 0.74, 0.60),
)
FINGERS: Final[tuple[Rgb, ...]] = ((0.10, 0.10, 0.12), (0.92, 0.92, 0.92), (0.25, 0.27, 0.32))


def luminance(rgb: Rgb) -> float:
    """Brightness in 0..1 (Rec. 709 weights)."""
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
