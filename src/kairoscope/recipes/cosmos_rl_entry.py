"""Entry script for cosmos-rl, beside the dataset and the configuration that kairoscope wrote.

    cosmos-rl --config sft.toml custom_sft.py

The dataset holds conversations as JSON text in one column; `[custom.vision]` says which frames and pixels
of every video the model gets.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch.utils.data


class Conversations(torch.utils.data.Dataset[list[dict[str, Any]]]):
    """Rows of a dataset as lists of messages."""

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], column: str, vision: Mapping[str, Any]
    ) -> None:
        """Read `column` of `rows`; `vision` is added to every video of a conversation."""
        self.rows = rows
        self.column = column
        self.vision = dict(vision)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> list[dict[str, Any]]:
        """The messages of a row."""
        messages: list[dict[str, Any]] = json.loads(self.rows[index][self.column])
        for message in messages:
            content = message["content"]
            for part in content if isinstance(content, list) else []:
                if part.get("type") in ("video", "image"):
                    part.update(self.vision)
        return messages


def conversations_of(config: Any) -> Conversations:
    """The dataset that a configuration of cosmos-rl names."""
    import datasets

    custom = config.custom
    rows = datasets.load_from_disk(custom["dataset"]["path"])
    column = config.train.train_policy.conversation_column_name
    return Conversations(rows, column, custom.get("vision", {}))


def main() -> None:
    """Start the worker that cosmos-rl has asked for."""
    import cosmos_rl.launcher.worker_entry  # type: ignore[import-not-found]

    cosmos_rl.launcher.worker_entry.main(dataset=conversations_of)


if __name__ == "__main__":
    main()
