from runner.platforms.gpu.witness import witnessed


def test_copies_and_fills_are_no_commands_whoever_makes_them() -> None:
    """AMD's runtime copies and fills by kernels of its own."""
    names = (
        "gemm",
        "Memcpy HtoD (Pinned -> Device)",
        "Memset (Device)",
        "CopyDeviceToDevice",
        "__amd_rocclr_copyBuffer",
        "__amd_rocclr_fillBufferAligned",
    )
    seen = witnessed([(call, name, 0.1) for call, name in enumerate(names)])
    assert seen.commands_s == (0.1,)
    assert round(seen.device_s, 9) == 0.6


def test_what_one_call_launched_is_one_command() -> None:
    """A graph, of which the device tells every kernel."""
    graph = [(7, "gemm", 0.25), (7, "Memset (Device)", 0.5), (7, "gelu", 0.25)]
    seen = witnessed([(6, "Memcpy DtoD (Device -> Device)", 1.0), *graph, (8, "gemm", 0.125)])
    assert seen.commands_s == (0.5, 0.125)
    assert seen.device_s == 2.125
