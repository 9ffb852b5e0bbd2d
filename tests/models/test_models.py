from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from packaging.version import Version

from models import CATALOG, ModelSpec
from models import fingerprint as fingerprints
from models.build import build, linked_against_cuda
from models.export import ExportedProgram
from models.families import FAMILIES, synthetic

SMALL = [
    ModelSpec("bert_mini", size=16),
    ModelSpec("bert_mini", batch_size=2, size=8, dtype="bfloat16"),
    ModelSpec("resnet18", size=64),
    ModelSpec("mobilenet", size=64),
    ModelSpec("vit_b_16", size=224),
    ModelSpec("gpt2", size=8),
]


def equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the bit. Before PyTorch 2.11 an export of attention takes another path than eager."""
    if Version(torch.__version__) >= Version("2.11"):
        return torch.equal(one, other)
    return torch.allclose(one, other, atol=20 * torch.finfo(one.dtype).eps)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: f"{spec.name}-{spec.dtype}")
def test_commands_compute_exactly_what_the_eager_model_does(spec: ModelSpec) -> None:
    workload = build(spec)
    program = ExportedProgram(workload)
    # Eager attention may take a fused path that rounds otherwise and that no export takes.
    torch.backends.mha.set_fastpath_enabled(False)
    prints = []
    with torch.inference_mode():
        for number in range(4):  # a later request must not see an earlier one's values
            expected = workload.module(*workload.inputs[number % 2])
            program.take(number)
            for command in program.commands:
                command()
            assert equal(program.output, expected)
            prints.append(program.fingerprint())
    assert prints[:2] == prints[2:]
    assert prints[0] != prints[1]
    assert torch.isfinite(expected).all()
    assert len(program.commands) > 50
    assert expected.std() > 0


@pytest.mark.parametrize(
    ("version", "against_cuda"),
    [("0.28.0+cu130", True), ("0.28.0+cpu", False), ("0.22.0a0+966da7e", False)],
)
def test_operators_are_declared_for_a_torchvision_that_is_built_for_another_torch(
    version: str, against_cuda: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is built for this torch declares its own, and a second time is an error."""
    (tmp_path / "version.py").write_text(f"__version__ = {version!r}\n")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("models.build.find_spec", lambda _: spec)
    assert linked_against_cuda() is against_cuda


def test_a_fingerprint_tells_values_that_changed_places() -> None:
    by = fingerprints.weights(4)
    assert by.min() >= 1
    assert by.max() < 2
    one = fingerprints.fingerprint(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), by)
    assert one == fingerprints.fingerprint(torch.tensor([1.0, 2.0, 3.0, 4.0]), by)
    assert one != fingerprints.fingerprint(torch.tensor([2.0, 1.0, 3.0, 4.0]), by)


def test_every_family_is_tested() -> None:
    tested = {FAMILIES[spec.name] for spec in SMALL}
    assert tested == {FAMILIES[name] for name, info in CATALOG.items() if not info.bare}


def test_no_two_families_offer_a_model_of_the_same_name() -> None:
    assert len(CATALOG) == sum(len(family.MODELS) for family in set(FAMILIES.values()))


@pytest.mark.parametrize("name", ["bert_base", "bert_large", "resnet50", "resnet152"])
def test_the_larger_models_build(name: str) -> None:
    info = CATALOG[name]
    workload = build(ModelSpec(name, size=info.smallest))
    parameters = sum(parameter.numel() for parameter in workload.module.parameters())
    millions = {"bert_base": 109, "bert_large": 335, "resnet50": 26, "resnet152": 60}
    assert parameters == pytest.approx(millions[name] * 1e6, rel=0.05)
    build.cache_clear()


def test_identical_specifications_share_one_instance() -> None:
    assert build(ModelSpec("bert_mini", size=8)) is build(ModelSpec("bert_mini", size=8))
    assert build(ModelSpec("bert_mini", size=8)) is not build(ModelSpec("bert_mini", size=9))


def test_weights_come_from_the_seed() -> None:
    def first(seed: int) -> torch.Tensor:
        return next(build(ModelSpec("bert_mini", size=4, seed=seed)).module.parameters())

    build.cache_clear()
    once = first(1).clone()
    build.cache_clear()
    assert torch.equal(first(1), once)
    assert not torch.equal(first(2), once)


def test_a_program_keeps_no_value_that_nobody_needs() -> None:
    program = ExportedProgram(build(ModelSpec("bert_mini", size=16)))
    with torch.inference_mode():
        for command in program.commands:
            command()
    held = [
        value
        for node, slot in program._slots.items()
        if node.op == "call_function" and (value := program._values[slot]) is not None
    ]
    assert len(held) == 1  # the output


def test_synthetic_has_no_module() -> None:
    with pytest.raises(ValueError, match="synthetic"):
        build(ModelSpec("synthetic", size=1))


def test_synthetic_commands_are_of_fixed_work() -> None:
    assert synthetic.commands(0, 100) == []
    assert len(synthetic.commands(7, 0)) == 7
    (one,), (ten,) = synthetic.commands(1, 100), synthetic.commands(1, 1000)
    # Commands are partials here, which their type, any callable, does not say.
    assert ten.args[0] == pytest.approx(10 * one.args[0], rel=0.01)  # type: ignore[attr-defined]


def test_the_catalogue_needs_no_torch() -> None:
    import subprocess
    import sys

    modules = {"torch", "torchvision", "transformers", "safetensors"}
    code = (
        f"import sys, models, runner.config.schema; sys.exit(bool({modules} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
