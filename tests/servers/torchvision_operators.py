"""Put into the servers' environment: lets torchvision, which has no CPU build, be imported there.

Its compiled operators are missed at import only; nothing that a server of ours does calls them.
"""

import sys
from importlib.abc import MetaPathFinder
from typing import Any


class _Operators(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            self.library = library
            modules: dict[str, Any] = sys.modules
            modules["_torchvision_operators"] = self


sys.meta_path.insert(0, _Operators())
