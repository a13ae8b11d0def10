"""What layers take that torch has compiled, without compiling them.

torch traces a layer with its backward pass and chooses what to keep of the one for the other
(`min_cut_rematerialization_partition`). The same is done here on tensors that have only shapes; in a
rehearsal a stand-in then takes the layer's place, which keeps as many bytes and needs as many.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import torch
import torch._functorch.config as functorch_config
from torch._functorch._aot_autograd.utils import make_boxed_func
from torch._functorch.aot_autograd import aot_function
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch._inductor.decomposition import select_decomp_table
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_leaves

from kairoscope.train.rehearsed_attention import traceable_attention

KERNELS = ("mm", "bmm", "addmm", "flash_attention", "convolution")
"""Operations that are not fused with others: what goes in and comes out lies in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """Bytes of one layer."""

    kept: int
    """From its forward pass for its backward pass, beside its input."""
    forward: int
    """Beyond that, at most at a time, in the forward pass."""
    backward: int
    """In the backward pass, without the gradients of weights."""


def traced(layer: Any, arguments: dict[str, Any], *, kept_activations: float) -> Compiled:
    """What a layer takes in training.

    Args:
        layer: its parameters have only shapes; those with `requires_grad` are trained.
        arguments: of its `forward`, likewise.
        kept_activations: see `SFTConfig`.
    """
    graphs: dict[str, GraphModule] = {}

    def keep(name: str) -> Any:
        def compiler(graph: GraphModule, _: Any) -> Any:
            graphs[name] = graph
            return make_boxed_func(graph.forward)

        return compiler

    given = {n: v for n, v in arguments.items() if any(map(torch.is_tensor, tree_leaves(v)))}
    rest = {name: value for name, value in arguments.items() if name not in given}
    weights = dict(layer.named_parameters())
    first = sum(map(torch.is_tensor, tree_leaves(given)))

    def run(given: dict[str, Any], weights: dict[str, Any]) -> Any:
        return torch.func.functional_call(layer, weights, (), {**given, **rest})

    run_traced = aot_function(
        run,
        fw_compiler=keep("forward"),
        bw_compiler=keep("backward"),
        partition_fn=partial(_parted, weights=list(range(first, first + len(weights)))),
        decompositions=select_decomp_table(),
    )
    with functorch_config.patch(activation_memory_budget=kept_activations):
        out = run_traced(given, weights)
        out.backward(torch.empty_like(out))
    made = [node for node in _outputs(graphs["forward"])[1:] if node.op != "placeholder"]
    kept = sum(
        value.nbytes for value in {id(v): v for v in map(_value, made) if v is not None}.values()
    )
    return Compiled(
        kept=kept,
        forward=max(0, _peak(graphs["forward"]) - kept),
        backward=_peak(graphs["backward"]),
    )


def _outputs(graph: GraphModule) -> list[Node]:
    output = next(node for node in graph.graph.nodes if node.op == "output")
    return [node for node in output.args[0] if isinstance(node, Node)]


def _parted(
    joint: GraphModule, inputs: Any, *, num_fwd_outputs: int, weights: list[int], **_: Any
) -> Any:
    """As torch's own compiler does it; weights, by their places among the inputs, are there anyway."""
    return min_cut_rematerialization_partition(
        joint, inputs, num_fwd_outputs=num_fwd_outputs, static_lifetime_input_indices=weights
    )


def _value(node: Node) -> Any:
    value = node.meta.get("val")
    return value if isinstance(value, torch.Tensor) else None


def _peak(graph: GraphModule) -> int:
    """Bytes that a graph makes, at most at a time, its inputs not counted.

    What lies between two kernels is computed as it is needed: fused, it takes no memory.
    """
    nodes = list(graph.graph.nodes)
    place = {node: index for index, node in enumerate(nodes)}
    lies = {node for node in nodes if _lies_in_memory(node)}
    last: dict[Node, int] = {}
    for node in reversed(nodes):
        users = [
            place[user] if user in lies or user.op == "output" else last[user]
            for user in node.users
        ]
        last[node] = max(users, default=place[node])
    ends: dict[int, list[Node]] = {}
    now = peak = 0
    for index, node in enumerate(nodes):
        if node in lies:
            now += _value(node).nbytes
            ends.setdefault(last[node], []).append(node)
        peak = max(peak, now)
        now -= sum(_value(done).nbytes for done in ends.pop(index, ()))
    return peak


def _lies_in_memory(node: Node) -> bool:
    if node.op != "call_function" or _value(node) is None:
        return False
    return any(map(_is_kernel, (node, *node.users)))


def _is_kernel(node: Node) -> bool:
    name = str(node.target)
    return node.op == "output" or any(kernel in name for kernel in KERNELS)


class _StandIn(torch.autograd.Function):
    """Takes and keeps the bytes of a compiled layer, and gives every trained weight a gradient."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, sizes: Compiled, *weights: Any) -> Any:
        kept = hidden.new_empty(sizes.kept, dtype=torch.uint8)
        hidden.new_empty(sizes.forward, dtype=torch.uint8)
        ctx.save_for_backward(hidden, kept, *weights)
        ctx.sizes = sizes
        return torch.empty_like(hidden)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        hidden, _, *weights = ctx.saved_tensors
        hidden.new_empty(ctx.sizes.backward, dtype=torch.uint8)
        grads = [torch.empty_like(w) if w.requires_grad else None for w in weights]
        del grad
        return torch.empty_like(hidden), None, *grads


def put_stand_ins(network: Any, work: Callable[[Any], Any], *, kept_activations: float) -> None:
    """Let the layers of a network take what they take when they are compiled, and compute nothing.

    Args:
        network: prepared for training, its weights have only shapes.
        work: a forward pass; runs once, for what the layers are given.
        kept_activations: see `SFTConfig`.
    """
    tower = network.model.visual
    looks_back = any(p.requires_grad for p in tower.parameters())
    layers = [*network.model.language_model.layers, *(tower.blocks if looks_back else ())]
    arguments: dict[Any, dict[str, Any]] = {}

    def note(layer: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        # transformers hands over the first argument by its place.
        arguments[layer] = {**dict(zip(("hidden_states",), given, strict=False)), **named}

    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    with torch.no_grad():
        work(network)
    for hook in hooks:
        hook.remove()
    known: dict[Any, Compiled] = {}
    for layer in layers:
        given = arguments[layer]
        given["hidden_states"] = given["hidden_states"].detach().requires_grad_()
        shapes = tuple(getattr(leaf, "shape", None) for leaf in tree_leaves(given))
        kind = (type(layer), shapes)
        if kind not in known:
            with traceable_attention(network):
                known[kind] = traced(layer, given, kept_activations=kept_activations)
        _stand_in(layer, known[kind])


def _stand_in(layer: Any, sizes: Compiled) -> None:
    trained = [p for p in layer.parameters() if p.requires_grad]

    def forward(_: Any, hidden_states: Any, **__: Any) -> Any:
        return _StandIn.apply(hidden_states, sizes, *trained)  # type: ignore[no-untyped-call]

    layer.forward = MethodType(forward, layer)
