from runner.platforms.gpu.witness import witnessed


def test_copies_and_fills_are_no_commands_whoever_makes_them() -> None:
    """AMD's runtime copies and fills by kernels of its own."""
    seen = witnessed(
        [
            ("gemm", 0.5),
            ("Memcpy HtoD (Pinned -> Device)", 0.1),
            ("Memset (Device)", 0.1),
            ("CopyDeviceToDevice", 0.1),
            ("__amd_rocclr_copyBuffer", 0.1),
            ("__amd_rocclr_fillBufferAligned", 0.1),
        ]
    )
    assert seen.commands_s == (0.5,)
    assert round(seen.device_s, 9) == 1.0
