from runner.commands.reference import markdown
from runner.config.schema import all_keys
from tests.conftest import ROOT


def test_the_reference_is_the_schema() -> None:
    assert (ROOT / "docs" / "reference.md").read_text() == markdown(), "run `make docs`"


def test_it_names_every_key() -> None:
    page = markdown()
    assert [key for key in all_keys() if f"| `{key}` |" not in page] == []
