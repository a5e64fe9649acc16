#!/usr/bin/env python3
"""Write all-MiniLM-L6-v2 as an 8-bit ONNX graph, straight from its safetensors weights, and prove that it works.

Called by setup.py inside a virtual environment with `numpy`, `onnx` and `onnxruntime`; not meant for other models.

Why the graph is written by hand and not exported and then quantized by a tool:

* Fixed activation ranges. The usual dynamic quantization takes each range from the whole batch, so a text gets another
  vector in other company (cosines down to .99). With fixed ranges a vector depends on its text alone.
* The outliers are tame. One hidden channel and one or two feed-forward neurons per layer reach 8 to 30 where the
  others stay below 8, which wastes most of the 8 bits. They are scaled down before rounding and their weights up by
  the same factor (SmoothQuant, Xiao et al. 2023), here for the few channels that need it only.
* Operators that ONNX Runtime runs fast: one product for query, key and value; `Attention` of opset 24 with the number
  of tokens per text, which skips the padding and never stores the score matrix; `LayerNormalization` on a `Sum`, as
  the runtime would fuse an `Add` into its SkipLayerNormalization, which is ten times slower on CPUs.
* Mean pooling and L2 norm are in the graph, so [batch, 384] leaves it and not [batch, sequence, 384].

Inputs: input_ids, attention_mask (right-padded, at least one token per text), token_type_ids; int64 [batch, sequence].
Output: sentence_embedding, float32 [batch, 384].
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HEADS = 12
WIDTH = 384
EPSILON = 1e-12
OPSET = 24
IR_VERSION = 11
RUNTIME_OPS = "com.microsoft"

# 8-bit weights stay within ±100, not ±127: CPUs with AVX2 but without VNNI add two products of an unsigned and a
# signed byte in 16 bits, which would overflow. Measured: practically no overflow at 100, and the same cosines.
WEIGHT_MAX = 100

# Activation ranges per layer: extremes over some 250 texts (prose, source code in several languages, manuals, other
# scripts, emoji, single letters), slightly widened. What lies outside saturates.
QKV_RANGES = [(-2.9, 6.4), (-4.9, 8.2), (-5.3, 8.1), (-5.6, 9.8), (-6.9, 10.6), (-6.5, 10.0)]
CONTEXT_RANGES = [(-3.4, 2.8), (-3.1, 3.1), (-3.3, 2.7), (-2.5, 2.6), (-3.4, 3.1), (-3.4, 3.6)]
UP_RANGE = (-9.0, 9.0)
DOWN_RANGE = (-0.17, 8.0)

# Outlier channels, {channel: divisor}, of the inputs of the two feed-forward products, per layer.
UP_OUTLIERS = [
    {63: 1.3, 99: 3.2},
    {99: 3.4},
    {99: 3.1, 223: 1.6},
    {63: 1.15, 99: 3.25, 223: 1.8},
    {99: 2.4, 127: 1.5, 223: 1.7},
    {99: 1.55, 223: 1.45, 319: 1.1},
]
DOWN_OUTLIERS = [{856: 3.1}, {607: 2.6}, {218: 1.85, 1004: 2.2}, {358: 1.75}, {637: 1.1}, {1302: 1.2}]

# Three sentences as token ids, and the cosines between them that the 32-bit model gives.
CHECK_TOKENS = [
    # The server keeps what agents learn and finds it again.
    [101, 1996, 8241, 7906, 2054, 6074, 4553, 1998, 4858, 2009, 2153, 1012, 102],
    # Agents look up earlier knowledge in a shared memory.
    [101, 6074, 2298, 2039, 3041, 3716, 1999, 1037, 4207, 3638, 1012, 102],
    # Bake the apple pie for forty minutes with cinnamon on top.
    [101, 8670, 3489, 1996, 6207, 11345, 2005, 5659, 2781, 2007, 21229, 2006, 2327, 1012, 102],
]
CHECK_COSINES = {(0, 1): 0.5943, (0, 2): 0.0257, (1, 2): 0.0408}
CHECK_TOLERANCE = 0.03
BATCH_TOLERANCE = 1e-4


def read_safetensors(path):
    """Float32 tensors of a safetensors file: an 8-byte length, a JSON header, then the raw values."""
    data = path.read_bytes()
    body = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:body]).items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[body + start : body + end], "<f4").reshape(entry["shape"])
    return tensors


class Graph:
    """Collects nodes and constants; every method returns the name of the tensor that it makes."""

    def __init__(self):
        self.nodes = []
        self.constants = {}

    def constant(self, name, value):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, kind, inputs, name, outputs=1, domain="", **attributes):
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def layer_norm(self, x, weights, prefix, name):
        scale = self.constant(f"{name}.scale", weights[f"{prefix}.weight"])
        bias = self.constant(f"{name}.bias", weights[f"{prefix}.bias"])
        return self.node("LayerNormalization", [x, scale, bias], name, epsilon=EPSILON)

    def linear(self, x, weight, bias, bounds, name, outliers=None):
        """x · weightᵀ + bias in 8 bits: `bounds` is the range of x; `weight` is [out, in], one scale per output."""
        if outliers:
            divisor = np.ones(weight.shape[1], np.float32)
            divisor[list(outliers)] = list(outliers.values())
            weight = weight * divisor
            x = self.node("Mul", [x, self.constant(f"{name}.shrink", 1 / divisor)], f"{name}.smooth")
        low, high = bounds
        step = np.float32((high - low) / 255)
        x_scale = self.constant(f"{name}.x_scale", step)
        x_zero = self.constant(f"{name}.x_zero", np.uint8(round(-low / float(step))))
        scale = (np.abs(weight).max(axis=1) / WEIGHT_MAX).astype(np.float32)
        rounded = np.round(weight / scale[:, None]).astype(np.int8)
        x = self.node("QuantizeLinear", [x, x_scale, x_zero], f"{name}.x")
        inputs = [x, self.constant(f"{name}.weight", rounded.T), x_scale, self.constant(f"{name}.scale", scale)]
        inputs += [x_zero, "", self.constant(f"{name}.bias", bias)]
        return self.node("MatMulIntegerToFloat", inputs, name, domain=RUNTIME_OPS)


def add_embeddings(graph, weights):
    """Word + position + segment, normalized; words in 8 bits with one scale per word."""
    words = weights["embeddings.word_embeddings.weight"]
    scale = np.maximum(np.abs(words).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
    table = graph.constant("words", np.round(words / scale).astype(np.int8))
    rows = graph.node("Gather", [table, "input_ids"], "words.row")
    rows = graph.node("Cast", [rows], "words.float", to=TensorProto.FLOAT)
    scales = graph.node("Gather", [graph.constant("words.scale", scale), "input_ids"], "words.row_scale")
    x = graph.node("Mul", [rows, scales], "words.value")
    segments = graph.constant("segments", weights["embeddings.token_type_embeddings.weight"])
    x = graph.node("Add", [x, graph.node("Gather", [segments, "token_type_ids"], "segments.row")], "words.segments")
    table = graph.constant("positions", weights["embeddings.position_embeddings.weight"])
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    zero = graph.constant("zero", np.array([0], np.int64))
    positions = graph.node("Slice", [table, zero, length, zero], "positions.row")
    x = graph.node("Add", [x, positions], "embeddings.sum")
    return graph.layer_norm(x, weights, "embeddings.LayerNorm", "embeddings.norm")


def add_layer(graph, weights, x, lengths, layer):
    """One transformer layer: self-attention and feed-forward, each with its residual and norm."""
    prefix, name = f"encoder.layer.{layer}", f"layer{layer}"

    def weight_and_bias(part):
        return weights[f"{prefix}.{part}.weight"], weights[f"{prefix}.{part}.bias"]

    parts = [weight_and_bias(f"attention.self.{part}") for part in ("query", "key", "value")]
    weight, bias = np.concatenate([w for w, _ in parts]), np.concatenate([b for _, b in parts])
    qkv = graph.linear(x, weight, bias, QKV_RANGES[layer], f"{name}.qkv")
    qkv = graph.node("Split", [qkv], f"{name}.heads", outputs=3, axis=2, num_outputs=3)
    attributes = {"q_num_heads": HEADS, "kv_num_heads": HEADS}
    y = graph.node("Attention", [*qkv, "", "", "", lengths], f"{name}.context", **attributes)
    y = graph.linear(y, *weight_and_bias("attention.output.dense"), CONTEXT_RANGES[layer], f"{name}.attention")
    x = graph.node("Sum", [y, x], f"{name}.attention.residual")
    x = graph.layer_norm(x, weights, f"{prefix}.attention.output.LayerNorm", f"{name}.attention.norm")
    y = graph.linear(x, *weight_and_bias("intermediate.dense"), UP_RANGE, f"{name}.up", UP_OUTLIERS[layer])
    y = graph.node("Gelu", [y], f"{name}.gelu")
    y = graph.linear(y, *weight_and_bias("output.dense"), DOWN_RANGE, f"{name}.down", DOWN_OUTLIERS[layer])
    x = graph.node("Sum", [y, x], f"{name}.residual")
    return graph.layer_norm(x, weights, f"{prefix}.output.LayerNorm", f"{name}.norm")


def add_pooling(graph, x):
    """Mean over the tokens of each text, scaled to length one; the norm makes dividing by the count needless."""
    axis = graph.constant("one", np.array([1], np.int64))
    mask = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    mask = graph.node("Unsqueeze", [mask, axis], "mask.row")
    total = graph.node("Squeeze", [graph.node("MatMul", [mask, x], "pool.sum"), axis], "pool")
    return graph.node("LpNormalization", [total], "sentence_embedding", axis=-1, p=2)


def build(weights):
    """The whole model as an onnx.ModelProto."""
    graph = Graph()
    x = add_embeddings(graph, weights)
    axis = graph.constant("one", np.array([1], np.int64))
    lengths = graph.node("ReduceSum", ["attention_mask", axis], "lengths", keepdims=0)
    for layer in range(len(QKV_RANGES)):
        x = add_layer(graph, weights, x, lengths, layer)
    output = add_pooling(graph, x)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", WIDTH])]
    body = helper.make_graph(graph.nodes, "all-minilm-l6-v2-int8", inputs, outputs, list(graph.constants.values()))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME_OPS, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hivemem")


def embed(session, texts):
    """Vectors of lists of token ids, as one right-padded batch."""
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(texts):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return session.run(["sentence_embedding"], feed)[0]


def check(path):
    """What is wrong with the written model, as a sentence; None if it is fine."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    vectors = embed(session, CHECK_TOKENS)
    if vectors.shape != (len(CHECK_TOKENS), WIDTH) or not np.isfinite(vectors).all():
        return f"the embeddings have shape {vectors.shape} or are not finite"
    for (a, b), expected in CHECK_COSINES.items():
        cosine = float(vectors[a] @ vectors[b])
        if abs(cosine - expected) > CHECK_TOLERANCE:
            return f"check sentences {a} and {b} have cosine {cosine:.4f} instead of {expected:.4f}"
    for row, tokens in enumerate(CHECK_TOKENS):
        difference = float(np.abs(embed(session, [tokens])[0] - vectors[row]).max())
        if difference > BATCH_TOLERANCE:
            return f"check sentence {row} differs by {difference:.1e} when embedded alone and in a batch"
    return None


def main():
    parser = argparse.ArgumentParser(description="Write all-MiniLM-L6-v2 as an 8-bit ONNX graph and check it.")
    parser.add_argument("weights", type=Path, help="model.safetensors of all-MiniLM-L6-v2")
    parser.add_argument("output", type=Path, help="the ONNX file to write")
    arguments = parser.parse_args()
    try:
        model = build(read_safetensors(arguments.weights))
    except KeyError as missing:
        sys.exit(f"{arguments.weights} has no tensor {missing}: it is not all-MiniLM-L6-v2")
    onnx.checker.check_model(model)
    onnx.save(model, str(arguments.output))
    problem = check(arguments.output)
    if problem:
        sys.exit(f"{arguments.output} does not work with ONNX Runtime {onnxruntime.__version__}: {problem}")


if __name__ == "__main__":
    main()
