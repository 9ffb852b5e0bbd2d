"""`pretrained`: what was saved is what is computed, to the bit, or it is said what is wrong."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from models import ModelSpec
from models.build import build, declare_torchvision_operators
from models.weights import State, WeightsError, digest, files

declare_torchvision_operators()

from torchvision.models import resnet18  # noqa: E402
from transformers import BertConfig, GPT2Config  # noqa: E402
from transformers.models.bert.modeling_bert import BertForPreTraining, BertModel  # noqa: E402
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel, GPT2Model  # noqa: E402

BERT_MINI = BertConfig(
    hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
)
SMALL_GPT2 = partial(GPT2Config, n_layer=2, n_embd=64, n_head=2)
BERT, RESNET, GPT2 = (
    ModelSpec("bert_mini", size=8),
    ModelSpec("resnet18", size=32),
    ModelSpec("gpt2", size=8),
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPT-2 that is soon saved, and nothing kept of it."""
    monkeypatch.setattr("transformers.GPT2Config", SMALL_GPT2)
    build.cache_clear()
    yield
    build.cache_clear()


def made(model: type[nn.Module] | Callable[..., nn.Module], *config: object) -> nn.Module:
    """The library's own model, every value of it random, statistics included."""
    torch.manual_seed(1)
    module = model(*config)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.05, 0.05)
            tensor.uniform_(low, high)
    return module.eval()


def at(path: Path, spec: ModelSpec) -> ModelSpec:
    return replace(spec, pretrained=str(path), weights_sha256=digest(path))


def output(spec: ModelSpec) -> Tensor:
    workload = build(spec)
    with torch.inference_mode():
        result: Tensor = workload.module(*workload.inputs[0])
    return result


def expected(module: nn.Module, spec: ModelSpec) -> Tensor:
    """What the library's own model makes of our inputs."""
    inputs = build(replace(spec, pretrained="", weights_sha256="")).inputs[0]
    # One matrix product over all positions would round otherwise.
    options = {"logits_to_keep": 1} if spec.name == "gpt2" else {}
    with torch.inference_mode():
        result = module.to(getattr(torch, spec.dtype))(*inputs, **options)
    for name in ("pooler_output", "logits"):
        result = getattr(result, name, result)
    assert isinstance(result, Tensor)
    return result


def sharded_bin(state: State, folder: Path) -> None:
    folder.mkdir()
    where = {name: f"part-{number % 2}.bin" for number, name in enumerate(state)}
    for part in set(where.values()):
        torch.save({name: state[name] for name in state if where[name] == part}, folder / part)
    index = {"metadata": {}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def single_bin(state: State, folder: Path) -> None:
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin")


FORMATS: dict[str, Callable[[State, Path], None]] = {
    "w.safetensors": save_file,
    "w.pt": torch.save,
    "w.pth": torch.save,
    "w.bin": torch.save,
    "folder": single_bin,
    "shards": sharded_bin,
}


@pytest.mark.parametrize("name", FORMATS)
def test_weights_come_back_in_every_format(name: str, tmp_path: Path) -> None:
    module = made(BertModel, BERT_MINI)
    FORMATS[name](module.state_dict(), tmp_path / name)
    result = output(at(tmp_path / name, BERT))
    assert torch.equal(result, expected(module, BERT))
    assert not torch.equal(result, output(BERT))


@pytest.mark.parametrize("size", ["1GB", "10MB"])
def test_a_folder_that_hugging_face_saved(size: str, tmp_path: Path) -> None:
    module = made(BertForPreTraining, BERT_MINI)
    # `made` says no more than that it is a module, here and below.
    module.save_pretrained(tmp_path / "saved", max_shard_size=size)  # type: ignore[operator]
    assert (len(files(tmp_path / "saved")) > 1) == (size == "10MB")
    encoder: nn.Module = module.bert  # type: ignore[assignment]
    assert torch.equal(output(at(tmp_path / "saved", BERT)), expected(encoder, BERT))


def test_the_oldest_names_are_understood(tmp_path: Path) -> None:
    module = made(BertModel, BERT_MINI)
    old = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in module.state_dict().items()
    } | {
        "bert.embeddings.position_ids": torch.arange(512)[None],
        "cls.seq_relationship.bias": torch.zeros(2),
    }
    assert any("gamma" in name for name in old)
    torch.save(old, tmp_path / "old.bin")
    assert torch.equal(output(at(tmp_path / "old.bin", BERT)), expected(module, BERT))


@pytest.mark.parametrize("head", [True, False])
def test_gpt2_takes_its_logits_from_the_embedding_if_it_has_no_others(
    head: bool, tmp_path: Path
) -> None:
    module = made(GPT2LMHeadModel, SMALL_GPT2())
    state = module.state_dict()
    if head:
        state["lm_head.weight"] = state["lm_head.weight"] * 2
    else:
        body: GPT2Model = module.transformer  # type: ignore[assignment]
        state = body.state_dict() | {"h.0.attn.bias": torch.ones(1, 1, 4, 4).tril().bool()}
    torch.save(state, tmp_path / "w.pt")
    result = output(at(tmp_path / "w.pt", GPT2))
    assert torch.equal(result, expected(module, GPT2) * (2 if head else 1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_state_dict_of_torchvision(dtype: str, tmp_path: Path) -> None:
    spec, module = replace(RESNET, dtype=dtype), made(resnet18)
    torch.save(module.state_dict(), tmp_path / "w.pth")
    # Its first published files are older than this count.
    bare = {k: v for k, v in module.state_dict().items() if not k.endswith("batches_tracked")}
    save_file(bare, tmp_path / "w.safetensors")
    result = output(at(tmp_path / "w.pth", spec))
    assert torch.equal(output(at(tmp_path / "w.safetensors", spec)), result)
    assert torch.equal(result, expected(module, spec))


def wrong(path: Path, spec: ModelSpec) -> str:
    with pytest.raises(WeightsError) as error:
        build(at(path, spec))
    assert str(error.value).startswith(f"model.pretrained={path}: ")
    return str(error.value)


def test_weights_of_another_model_are_named(tmp_path: Path) -> None:
    state = made(BertModel, BERT_MINI).state_dict()
    path = tmp_path / "w.pt"

    torch.save(state, path)
    said = wrong(path, RESNET)
    assert "does not fit resnet18 of size 32: conv1.weight is missing" in said
    assert "more" in said
    assert len(said) < 500

    torch.save({k: v for k, v in state.items() if not k.startswith("pooler.")}, path)
    said = wrong(path, BERT)
    assert said.endswith("bert.pooler.dense.weight is missing; bert.pooler.dense.bias is missing")

    torch.save(state | {"pooler.dense.bias": torch.zeros(3)}, path)
    assert "size mismatch for bert.pooler.dense.bias" in wrong(path, BERT)


def test_a_deeper_model_is_not_cut_to_size(tmp_path: Path) -> None:
    """Its names are a superset, of the same shapes."""
    state = made(BertModel, BERT_MINI).state_dict()
    extra = {k.replace("layer.3.", "layer.4."): v for k, v in state.items()}
    torch.save(state | extra, tmp_path / "w.pt")
    assert "bert.encoder.layer.4" in wrong(tmp_path / "w.pt", BERT)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02cos\nsystem\n"])
def test_a_file_of_something_else(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert f"{name} cannot be read as weights" in wrong(tmp_path / name, BERT)


def test_a_checkpoint_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "w.pt")
    assert "not tensors are epoch; state_dict" in wrong(tmp_path / "w.pt", BERT)
    torch.save([torch.zeros(1)], tmp_path / "w.pt")
    assert "it holds a list" in wrong(tmp_path / "w.pt", BERT)


def test_a_whole_module_is_not_unpickled(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "w.pt")
    assert "cannot be read as weights" in wrong(tmp_path / "w.pt", BERT)


def test_weights_that_change_after_the_sweep_began_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(made(BertModel, BERT_MINI).state_dict(), path)
    spec = at(path, BERT)
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="has changed since the sweep began"):
        build(spec)


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    one, two = tmp_path / "one.pt", tmp_path / "folder" / "pytorch_model.bin"
    one.write_bytes(b"1")
    two.write_bytes(b"1")
    assert digest(one) == digest(two) == digest(two.parent) == hashlib.sha256(b"1").hexdigest()
    assert at(one, BERT) == at(two, BERT)
    assert at(one, BERT).identity == at(two, BERT).identity
    two.write_bytes(b"2")
    assert digest(one) != digest(two)
    assert at(one, BERT) != at(two, BERT)
    assert at(one, BERT) != BERT


def test_all_shards_count(tmp_path: Path) -> None:
    sharded_bin({"a": torch.zeros(2), "b": torch.zeros(3)}, tmp_path / "w")
    before = digest(tmp_path / "w")
    torch.save({"b": torch.ones(3)}, tmp_path / "w" / "part-1.bin")
    assert digest(tmp_path / "w") != before
    (tmp_path / "w" / "part-0.bin").unlink()
    with pytest.raises(WeightsError, match=r"lacks what its index names: part-0\.bin"):
        digest(tmp_path / "w")
    (tmp_path / "w" / "pytorch_model.bin.index.json").write_text("[]")
    with pytest.raises(WeightsError, match="has an index that is none"):
        digest(tmp_path / "w")


def test_what_is_no_file_of_weights_is_refused_without_reading_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for path, problem in {
        tmp_path / "nothing.pt": "is not there",
        tmp_path / "notes.txt": "is no file of weights",
        tmp_path: "has no weights in it",
    }.items():
        with pytest.raises(WeightsError, match=problem):
            digest(path)
