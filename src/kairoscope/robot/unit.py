"""What may be one hand: columns that move as one, told and measured. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from kairoscope.robot.column_groups import Group
from kairoscope.robot.columns import Column, Table


@dataclass(frozen=True, slots=True)
class Unit:
    """What may be one hand: measured columns, the commands that they answer, or one of both."""

    measured: Group | None
    commanded: Group | None

    @property
    def main(self) -> Group:
        """The measured columns where there are any."""
        group = self.measured or self.commanded
        assert group is not None
        return group

    @property
    def columns(self) -> tuple[Column, ...]:
        """All of them, measured ones first."""
        groups = [group for group in (self.measured, self.commanded) if group is not None]
        return tuple(column for group in groups for column in group.columns)


def words_of(tables: Sequence[Table], unit: Unit) -> str:
    """What the file calls the columns of a unit."""
    table = tables[0]
    known = [table.words[table.places[c]] for c in unit.columns if c in table.places]
    return ", ".join(dict.fromkeys(known))


def is_named_gripper(tables: Sequence[Table], unit: Unit) -> bool:
    """Whether the format itself says that columns are a gripper's."""
    table = tables[0]
    return any(table.kinds[table.places[c]] == "gripper" for c in unit.main.columns)
