"""What the documentation says of files is what the code does with them."""

from tests.docs.files_table import BEGIN, END, PAGE, tables


def test_the_tables_of_files_are_those_of_the_code() -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert shown == f"\n{tables()}\n", "python -m tests.docs.files_table writes them anew"
