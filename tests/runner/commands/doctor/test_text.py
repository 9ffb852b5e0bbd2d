import io

from runner.commands.doctor.lines import PLAIN_WIDTH, Line, Printer, error, ok, warning


def printed(*lines: Line) -> list[str]:
    out = io.StringIO()
    printer = Printer(out)
    for line in lines:
        printer.show(line)
    printer.conclude(list(lines))
    return out.getvalue().splitlines()


def test_columns_are_aligned_and_the_remedy_is_below() -> None:
    assert printed(ok("GPU", "an H100"), warning("load", "3.0", "wait")) == [
        "ok       GPU                 an H100",
        "warning  load                3.0",
        "                             → wait",
        "",
        "warning (1 warning): trials can run; what is marked disturbs them or limits what they "
        "can be",
    ]


def test_long_lines_stay_in_their_column() -> None:
    rows = printed(error("XSched", "word " * 60, "do " * 60))
    found, remedy = rows[1], rows[6]
    assert found.startswith(" " * 29 + "word")
    assert remedy.startswith(" " * 31 + "do")
    assert max(map(len, rows)) <= PLAIN_WIDTH


def test_all_is_well_has_no_counts() -> None:
    assert printed(ok("GPU", "x"))[-1] == "ok: all is well"


def test_errors_are_counted_first() -> None:
    lines = [warning("a", "x", "y"), error("b", "x", "y"), warning("c", "x", "y")]
    assert printed(*lines)[-1] == "error (1 error, 2 warnings): something does not work"
