"""The cross-encoder on a classifier of pairs that counts: a token of the text counts its id, or its segment."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import exp
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from plumbline_models.cross_encoder import CrossEncoder

WORDS = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "lamp": 3, "moon": 4, "grey": 5}
FRAME = 1 + 2 + 2
"""What the three tokens count that frame a pair."""
Save = Callable[..., Path]


def classifier(weights: Sequence[float], *, inputs: Sequence[str]) -> onnx.ModelProto:
    """Its logits are the sum over the last of *inputs*, times each of *weights*."""
    nodes = [
        helper.make_node("Mul", [inputs[-1], "attention_mask"], ["seen"]),
        helper.make_node("Cast", ["seen"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers", "axes"], ["sum"], keepdims=1),
        helper.make_node("MatMul", ["sum", "weights"], ["logits"]),
    ]
    columns = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(weights)])
    constants = [
        numpy_helper.from_array(np.array([1], np.int64), "axes"),
        numpy_helper.from_array(np.array([weights], np.float32), "weights"),
    ]
    graph = helper.make_graph(nodes, "classifier", columns, [logits], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def tokenizer() -> Tokenizer:
    """Frames a pair as BERT does."""
    made = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", WORDS["[CLS]"]), ("[SEP]", WORDS["[SEP]"])],
    )
    made.enable_padding(length=64)  # as many a published tokenizer.json asks for
    return made


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """A folder with such a classifier: `save([0.1])`."""

    def make(weights: Sequence[float], inputs: Sequence[str] = ("attention_mask", "input_ids")) -> Path:
        folder = tmp_path / "tiny"
        folder.mkdir()
        onnx.save(classifier(weights, inputs=inputs), folder / "model.onnx")
        tokenizer().save(str(folder / "tokenizer.json"))
        return folder

    return make


def sigmoid(value: float) -> float:
    return 1 / (1 + exp(-value))


def test_one_logit_becomes_its_sigmoid(save: Save) -> None:
    scores = CrossEncoder.load(save([0.1])).scores("lamp", ["moon", "grey moon", ""])
    assert scores == pytest.approx([sigmoid((FRAME + 3 + text) / 10) for text in (4, 9, 0)])


def test_of_two_logits_the_second_has_the_softmax(save: Save) -> None:
    scores = CrossEncoder.load(save([0.1, 0.3])).scores("lamp", ["moon"])
    first, second = exp((FRAME + 7) * 0.1), exp((FRAME + 7) * 0.3)
    assert scores == pytest.approx([second / (first + second)])


def test_huge_logits_are_scores_too(save: Save) -> None:
    assert CrossEncoder.load(save([-1e6])).scores("lamp", ["moon"]) == [0.0]


def test_a_model_that_tells_question_and_text_apart_is_told(save: Save) -> None:
    folder = save([0.1], inputs=("input_ids", "attention_mask", "token_type_ids"))
    scores = CrossEncoder.load(folder).scores("lamp lamp lamp", ["moon grey"])
    assert scores == pytest.approx([sigmoid(3 / 10)])  # two words and what ends them


def test_no_texts_have_no_scores(save: Save) -> None:
    assert CrossEncoder.load(save([0.1])).scores("lamp", []) == []


def test_a_pair_is_cut_at_its_longer_text(save: Save) -> None:
    folder = save([0.01])
    encoder = CrossEncoder.load(folder, max_tokens=8)
    assert encoder.scores("lamp", ["moon " * 50]) == pytest.approx([sigmoid((FRAME + 3 + 4 * 4) / 100)])


def test_a_pair_has_the_same_score_whatever_stands_beside_it(save: Save) -> None:
    encoder = CrossEncoder.load(save([0.1]))
    texts = ["moon", "grey " * 30, "lamp lamp"]
    assert encoder.scores("lamp", texts) == [encoder.scores("lamp", [text])[0] for text in texts]


def test_several_threads_get_what_one_gets(save: Save) -> None:
    encoder = CrossEncoder.load(save([0.1]))
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: encoder.scores("lamp", ["moon", "grey moon"]), range(16)))
    assert all(result == results[0] for result in results)


def test_the_id_is_the_folder_and_the_hash_of_the_model_file(save: Save) -> None:
    folder = save([0.1])
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    assert CrossEncoder.load(folder).id == f"tiny@{digest[:8]}"


def test_what_is_missing_is_named(save: Save, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="put an ONNX file and its tokenizer"):
        CrossEncoder.load(tmp_path / "nowhere")
    folder = save([0.1])
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        CrossEncoder.load(folder)


def test_of_several_models_none_is_chosen(save: Save) -> None:
    folder = save([0.1])
    (folder / "model.int8.onnx").write_bytes((folder / "model.onnx").read_bytes())
    with pytest.raises(ValueError, match=r"several models: model\.int8\.onnx, model\.onnx"):
        CrossEncoder.load(folder)


def test_a_model_that_asks_for_something_else_is_refused(save: Save) -> None:
    folder = save([0.1], inputs=("input_ids", "attention_mask", "position_ids"))
    with pytest.raises(ValueError, match="position_ids"):
        CrossEncoder.load(folder)


@pytest.mark.parametrize("weights", [[0.1, 0.2, 0.3], [float("nan")]], ids=["three classes", "no number"])
def test_a_model_that_gives_something_else_than_one_or_two_logits_is_refused(
    save: Save, weights: Sequence[float]
) -> None:
    encoder = CrossEncoder.load(save(weights))
    with pytest.raises(ValueError, match="one or two finite logits"):
        encoder.scores("lamp", ["moon"])
