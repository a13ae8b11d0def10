"""A way through a compiled template, token by token: which tokens may come next.

`decode.decode_template` picks whole values; here a value is written one token at a time, each drawn among
those with which some allowed value goes on. The probability of an answer is then the product over its
choices, and needs no output but those along the answer itself.
"""

from collections.abc import Sequence

from kairoscope.core import UserError
from kairoscope.models.constrain import CompiledSlot, CompiledText, Piece


class Walk:
    """Where an answer stands in its template."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """Begin before the first piece. Raises UserError for free words, which have no set of values."""
        if any(isinstance(piece, CompiledText) for piece in pieces):
            raise UserError(
                "answers with free words cannot be drawn along a template; let them be free (decoding)"
            )
        self._pieces = pieces
        self._at = 0
        self._depth = 0
        self._left: list[int] = []
        """Values of the slot that the answer may still become."""
        self._picks: list[int] = []
        self._enter()

    @property
    def ended(self) -> bool:
        """Whether the answer is complete."""
        return self._at == len(self._pieces)

    def forced(self) -> list[int]:
        """The tokens that must come now, up to the next choice or the end; the walk goes past them."""
        tokens: list[int] = []
        while not self.ended:
            piece = self._pieces[self._at]
            if isinstance(piece, tuple):
                tokens.extend(piece)
                self._leave()
            elif len(allowed := self.allowed()) == 1:
                tokens.append(allowed[0])
                self.take(allowed[0])
            else:
                break
        return tokens

    def allowed(self) -> tuple[int, ...]:
        """The tokens that may come next, ascending; inside a slot."""
        ids = self._slot.ids
        return tuple(sorted({ids[value][self._depth] for value in self._left}))

    def take(self, token: int) -> None:
        """Go on with one of the allowed tokens."""
        ids = self._slot.ids
        self._left = [value for value in self._left if ids[value][self._depth] == token]
        self._depth += 1
        # No value is the beginning of another one, so one that ends here is alone.
        if len(ids[self._left[0]]) == self._depth:
            self._picks.append(self._left[0])
            self._leave()

    @property
    def _slot(self) -> CompiledSlot:
        piece = self._pieces[self._at]
        assert isinstance(piece, CompiledSlot)
        return piece

    def _leave(self) -> None:
        self._at += 1
        self._enter()

    def _enter(self) -> None:
        self._depth = 0
        if not self.ended and isinstance(piece := self._pieces[self._at], CompiledSlot):
            before = piece.slot.not_before
            first = 0 if before is None else self._picks[before]
            self._left = list(range(first, len(piece.ids)))
