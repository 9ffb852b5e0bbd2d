from pathlib import Path

import pytest

from runner.commands.doctor.elf import symbols
from tests.runner import fake_rocm


def test_what_a_library_exports_and_calls(tmp_path: Path) -> None:
    source = "int given(int n) { return n; }\nstatic int own(void) { return 1; }\n"
    source += "int wanted(int);\nint calls(void) { return wanted(own()); }"
    found = symbols(fake_rocm.library(tmp_path / "lib.so", source))
    assert {"given", "calls"} <= found.exported
    assert "wanted" in found.needed
    assert "own" not in found.exported | found.needed
    assert "wanted" not in found.exported


def test_a_name_in_c_plus_plus_is_another(tmp_path: Path) -> None:
    """XSched's shim exports hipExtModuleLaunchKernel of C++, and HIP's libraries call that of C."""
    mangled = "_Z24hipExtModuleLaunchKernelP18ihipModuleSymbol_t"
    found = symbols(fake_rocm.shim(tmp_path / "lib.so", [mangled]))
    assert mangled in found.exported
    assert "hipExtModuleLaunchKernel" not in found.exported


@pytest.mark.parametrize("length", [0, 4, 64, 4000])
def test_a_file_that_is_no_whole_library_is_an_error_of_value(tmp_path: Path, length: int) -> None:
    whole = fake_rocm.library(tmp_path / "lib.so").read_bytes()
    (tmp_path / "cut.so").write_bytes(whole[:length])
    with pytest.raises(ValueError, match=r"cut\.so|empty"):
        symbols(tmp_path / "cut.so")
    (tmp_path / "text.so").write_text("no library at all" * 10)
    with pytest.raises(ValueError, match=r"text\.so is no 64-bit library"):
        symbols(tmp_path / "text.so")
