from runner.results.cells import Cell, Line, Mark, as_markdown, number


def test_a_table_in_markdown_has_its_numbers_to_the_right() -> None:
    table = [
        Line(
            [Cell("arm", "a|b"), number("p99", "1.5"), Cell("proof", Mark("proven", "good"))],
            "note",
        )
    ]
    lines = as_markdown(table).replace("&nbsp;", "").splitlines()
    rows = [r"| arm | p99 | proof |", "| --- | ---: | --- |", r"| a\|b | 1.5 | proven |"]
    assert lines == rows
    assert as_markdown([]) == ""
