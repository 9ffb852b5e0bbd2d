"""A sweep over weights: what fits is run and recorded, what does not fails with the reason."""

import hashlib
from pathlib import Path

import torch

from models import ModelSpec
from models.build import build
from runner.runs.files import read_provenance, read_summary
from runner.trial.status import Status
from tests.conftest import Run


def test_weights_that_do_not_fit_fail_their_run_alone(run_forked: Run, tmp_path: Path) -> None:
    encoder = build(ModelSpec("bert_mini", size=4)).module
    torch.save(encoder.state_dict(), tmp_path / "good.pt")
    torch.save({"pooler.dense.bias": torch.zeros(256)}, tmp_path / "bad.pt")
    short = "task_set=two_bert model=bert_mini task_set.requests=3 task_set.lead_in_s=0"
    arguments = f"{short} tracking=none -m arm=native"
    done = run_forked(*arguments.split(), "model.pretrained=bad.pt,good.pt")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

    (bad,) = tmp_path.glob("out/*/*bad.pt*/")
    (good,) = tmp_path.glob("out/*/*good.pt*/")
    failed, finished = read_summary(bad), read_summary(good)
    assert failed
    assert finished
    assert failed.status is Status.FAILED
    assert f"{tmp_path}/bad.pt: does not fit bert_mini" in failed.reason
    assert "bert.embeddings.word_embeddings.weight is missing" in failed.reason
    assert finished.status is Status.FINISHED
    path = tmp_path / "good.pt"
    assert read_provenance(good).weights == {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
    }
