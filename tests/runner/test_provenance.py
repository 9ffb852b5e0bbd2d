from runner import provenance


def test_it_names_machine_libraries_and_command() -> None:
    found = provenance.collect(["task_set=smoke"], provenance.load())
    assert found["overrides"] == ["task_set=smoke"]
    assert found["command"][:3] == ["python", "-m", "runner"]
    assert {"torch", "hydra-core", "transformers"} <= set(found["environment"]["libraries"])
    assert found["environment"]["cores"] >= 1
    assert set(found["load_before"]) == set(found["load_after"])
    assert set(found["code"]) == {"commit", "diff"}
