"""Writes a BERT sentence encoder as an ONNX graph from its weights, without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 20  # the first with Gelu; LayerNormalization came with 17
IR_VERSION: Final = 10
MASKED: Final = np.float32(
    -1e4
)  # far below any attention score, and no infinity that a softmax of padding turns into NaN

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a BERT encoder, as its configuration names them."""

    hidden: int
    heads: int
    layers: int
    epsilon: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Shape":
        """The sizes out of a `config.json`."""
        return cls(
            hidden=config["hidden_size"],
            heads=config["num_attention_heads"],
            layers=config["num_hidden_layers"],
            epsilon=config["layer_norm_eps"],
        )


@dataclass(slots=True)
class Graph:
    """An ONNX graph in the making: every node is named after its one output."""

    weights: Weights
    shape: Shape
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def integers(self, name: str, *values: int) -> str:
        """Add a constant list of integers, such as axes or a shape."""
        return self.constant(name, np.array(values, np.int64))

    def linear(self, value: str, source: str, name: str, scale: float = 1.0) -> str:
        """The dense layer *source* of the weights, multiplied by *scale*."""
        weight = self.weights[f"{source}.weight"].T * np.float32(scale)
        bias = self.weights[f"{source}.bias"] * np.float32(scale)
        product = self.node("MatMul", [value, self.constant(f"{name}.weight", weight)], f"{name}.product")
        return self.node("Add", [product, self.constant(f"{name}.bias", bias)], name)

    def norm(self, value: str, source: str, name: str) -> str:
        """The layer normalisation *source* of the weights."""
        gain = self.constant(f"{name}.gain", self.weights[f"{source}.weight"])
        bias = self.constant(f"{name}.offset", self.weights[f"{source}.bias"])
        return self.node("LayerNormalization", [value, gain, bias], name, axis=-1, epsilon=self.shape.epsilon)


def sentence_encoder(weights: Weights, shape: Shape) -> onnx.ModelProto:
    """A model from `input_ids` and `attention_mask` to `sentence_embedding`: mean pooled, L2-normalised."""
    graph = Graph(weights, shape)
    graph.integers("heads.shape", 0, 0, shape.heads, shape.hidden // shape.heads)
    graph.integers("hidden.shape", 0, 0, shape.hidden)
    _mask(graph)
    value = _embeddings(graph)
    for number in range(shape.layers):
        value = _layer(graph, value, number)
    _pool(graph, value)
    return _model(graph)


def _mask(graph: Graph) -> None:
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    wide = graph.node("Unsqueeze", [mask, graph.integers("mask.wide.axes", 1, 2)], "mask.wide")
    padding = graph.node("Sub", [graph.constant("one", np.array(1, np.float32)), wide], "mask.padding")
    graph.node("Mul", [padding, graph.constant("masked", np.array(MASKED))], "mask.scores")


def _embeddings(graph: Graph) -> str:
    weights = graph.weights
    words = graph.constant("words", weights["embeddings.word_embeddings.weight"])
    # Every token is of type 0 here, so its row belongs to every position.
    positions = (
        weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][:1]
    )
    graph.node("Gather", [words, "input_ids"], "embeddings.words")
    graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    first, axis = graph.integers("first", 0), graph.integers("axis", 0)
    graph.node("Slice", [graph.constant("positions", positions), first, "length", axis], "embeddings.positions")
    total = graph.node("Add", ["embeddings.words", "embeddings.positions"], "embeddings.sum")
    return graph.norm(total, "embeddings.LayerNorm", "embeddings")


def _layer(graph: Graph, value: str, number: int) -> str:
    source, name = f"encoder.layer.{number}", f"layer{number}"
    attended = graph.linear(_attention(graph, value, source, name), f"{source}.attention.output.dense", f"{name}.mixed")
    residual = graph.node("Add", [attended, value], f"{name}.attended")
    value = graph.norm(residual, f"{source}.attention.output.LayerNorm", f"{name}.middle")
    wide = graph.linear(value, f"{source}.intermediate.dense", f"{name}.wide")
    narrow = graph.linear(graph.node("Gelu", [wide], f"{name}.gelu"), f"{source}.output.dense", f"{name}.narrow")
    residual = graph.node("Add", [narrow, value], f"{name}.transformed")
    return graph.norm(residual, f"{source}.output.LayerNorm", f"{name}.out")


def _attention(graph: Graph, value: str, source: str, name: str) -> str:
    scale = (graph.shape.hidden // graph.shape.heads) ** -0.5
    query = _head(graph, value, f"{source}.attention.self.query", f"{name}.query", [0, 2, 1, 3], scale)
    key = _head(graph, value, f"{source}.attention.self.key", f"{name}.key", [0, 2, 3, 1])
    values = _head(graph, value, f"{source}.attention.self.value", f"{name}.value", [0, 2, 1, 3])
    scores = graph.node("MatMul", [query, key], f"{name}.scores")
    shares = graph.node("Softmax", [graph.node("Add", [scores, "mask.scores"], f"{name}.masked")], f"{name}.shares")
    context = graph.node("MatMul", [shares, values], f"{name}.context")
    rows = graph.node("Transpose", [context], f"{name}.context.rows", perm=[0, 2, 1, 3])
    return graph.node("Reshape", [rows, "hidden.shape"], f"{name}.context.flat")


def _head(graph: Graph, value: str, source: str, name: str, order: list[int], scale: float = 1.0) -> str:
    split = graph.node("Reshape", [graph.linear(value, source, name, scale), "heads.shape"], f"{name}.split")
    return graph.node("Transpose", [split], f"{name}.heads", perm=order)


def _pool(graph: Graph, value: str) -> None:
    # The sum stands for the mean: the length is divided out by the norm.
    tall = graph.node("Unsqueeze", ["mask", graph.integers("mask.tall.axes", 2)], "mask.tall")
    kept = graph.node("Mul", [value, tall], "pool.kept")
    total = graph.node("ReduceSum", [kept, graph.integers("pool.axes", 1)], "pool", keepdims=0)
    norm = graph.node("ReduceL2", [total, graph.integers("norm.axes", -1)], "norm", keepdims=1)
    floor = graph.node("Max", [norm, graph.constant("tiny", np.array(1e-12, np.float32))], "norm.floor")
    graph.node("Div", [total, floor], "sentence_embedding")


def _model(graph: Graph) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", graph.shape.hidden])
    body = helper.make_graph(graph.nodes, "sentence_encoder", inputs, [output], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    # The graph is already as pre-processing would leave it; without this mark quantisation warns that it is not.
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    onnx.checker.check_model(model)
    return model
