"""CSV tables: how they are read, what their target is taken for, and every complaint with file, row and column."""

import csv
import io
import os
import re
import threading

import numpy as np
import pytest

from fullyconnected import errors
from fullyconnected.tables import ADVICE, Table, choose_task, read_table


def written(folder, text, name="table.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return str(path)


def targets(labels):
    """A table with these labels."""
    return Table("t.csv", ("x",), np.zeros((len(labels), 1)), "y", tuple(labels))


class TestWhatIsRead:
    PLAIN = "a,b,y\n1,2.5,red\n-3e1,+.5,blue\n"

    @pytest.mark.parametrize(
        "text",
        [
            PLAIN,
            PLAIN.replace(",", ";"),
            PLAIN.replace(",", "\t"),
            PLAIN.replace("\n", "\r\n"),
            PLAIN.replace("\n", "\r"),
            PLAIN.strip(),  # no line end after the last row
            PLAIN + "\n\n",  # empty lines at the end
            "\ufeff" + PLAIN,  # as Excel writes UTF-8
            '"a","b","y"\n"1","2.5","red"\n"-3e1","+.5","blue"\n',
            "a, b, y\n 1, 2.5 ,red\n-3e1,+.5, blue \n",
        ],
    )
    def test_the_same_table_in_every_spelling(self, tmp_path, text):
        table = read_table(written(tmp_path, text), "y")
        assert table.features == ("a", "b")
        assert table.labels == ("red", "blue")
        assert table.x.dtype == np.float64
        np.testing.assert_array_equal(table.x, [[1, 2.5], [-30, 0.5]])

    def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(self, tmp_path):
        path = written(tmp_path, '"size, m","the ""y""\nof it"\n1,"a,b"\n2,"c\nd"\n')
        table = read_table(path, 'the "y"\nof it')
        assert (table.features, table.labels) == (("size, m",), ("a,b", "c\nd"))

    def test_commas_in_the_header_of_a_table_with_semicolons(self, tmp_path):
        table = read_table(written(tmp_path, "size, m;price, EUR;y, z\n1;2;3\n"), "y, z")
        assert table.features == ("size, m", "price, EUR")

    def test_one_column_needs_no_delimiter(self, tmp_path):
        np.testing.assert_array_equal(read_table(written(tmp_path, "a\n1\n2\n")).x, [[1], [2]])

    def test_features_come_in_the_order_asked_for_and_other_columns_may_hold_anything(self, tmp_path):
        table = read_table(written(tmp_path, "name,b,empty,a\nAnn,1,,2\n"), features=["a", "b"])
        np.testing.assert_array_equal(table.x, [[2, 1]])

    def test_a_header_alone_is_a_table_of_no_rows(self, tmp_path):
        assert read_table(written(tmp_path, "a,b\n"), "b").x.shape == (0, 1)

    def test_names_and_labels_in_any_script(self, tmp_path):
        table = read_table(written(tmp_path, "Größe,種\n1,猫\n"), "種")
        assert (table.features, table.labels) == (("Größe",), ("猫",))

    def test_numbers_are_read_to_the_last_bit(self, tmp_path):
        values = np.random.default_rng(0).normal(size=100) * 10.0 ** np.arange(-50, 50)
        values = values[np.abs(values) < 3e38]
        table = read_table(written(tmp_path, "a\n" + "\n".join(map(repr, values.tolist()))))
        np.testing.assert_array_equal(table.x[:, 0], values)

    def test_a_table_of_more_than_the_buffer(self, tmp_path):
        x = np.random.default_rng(0).integers(0, 1000, (3000, 40))
        text = ",".join(f"column{i}" for i in range(40)) + "\n" + "\n".join(",".join(map(str, row)) for row in x)
        np.testing.assert_array_equal(read_table(written(tmp_path, text)).x, x)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
    def test_a_pipe(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_text("a;b\n1;2\n", encoding="utf-8"), daemon=True)
        writer.start()
        np.testing.assert_array_equal(read_table(pipe).x, [[1, 2]])
        writer.join(10)


class TestComplaints:
    @pytest.mark.parametrize(
        ("cell", "reason"),
        [
            ("", "the cell is empty"),
            ("   ", "the cell is empty"),
            ("red", "'red' is not a number"),
            ("NA", "'NA' is not a number"),
            ("?", "'?' is not a number"),
            ("1_000", "'1_000' is not a number"),
            ('"3,14"', "'3,14' is not a number; decimals are written with a point"),
            ("nan", "'nan' is not a finite number"),
            ("NaN", "'NaN' is not a finite number"),
            ("inf", "'inf' is not a finite number"),
            ("-Infinity", "'-Infinity' is not a finite number"),
            ("1e400", "'1e400' is not a finite number"),
            ("1e39", "'1e39' is too large"),
            ("x" * 500, "x...' is not a number"),
        ],
    )
    def test_a_cell_that_is_no_number_is_named_by_file_row_and_column(self, tmp_path, cell, reason):
        path = written(tmp_path, f"a,my column,y\n1,2,u\n3,4,v\n5,{cell},w\n")
        with pytest.raises(errors.DataError) as error:
            read_table(path, "y")
        assert str(error.value).startswith(f"{path}, row 4, column 'my column': ")
        assert str(error.value).endswith(f"{reason}. {ADVICE}")
        assert len(str(error.value)) < len(path) + 100 + len(ADVICE)

    def test_large_numbers_whose_sum_is_larger_still_are_fine(self, tmp_path):
        assert read_table(written(tmp_path, "a,b\n3e38,3e38\n")).x.tolist() == [[3e38, 3e38]]

    @pytest.mark.parametrize(("cell", "reason"), [("", "the cell is empty"), ("nan", "'nan' is not a finite number")])
    def test_a_target_may_be_text_but_not_missing(self, tmp_path, cell, reason):
        path = written(tmp_path, f"a,y\n1,u\n2,{cell}\n")
        with pytest.raises(errors.DataError, match=re.escape(f"{path}, row 3, column 'y': {reason}")):
            read_table(path, "y")

    def test_rows_are_counted_as_a_spreadsheet_counts_them(self, tmp_path):
        path = written(tmp_path, 'a,y\n1,"three\nlines\nhere"\nbad,u\n')
        with pytest.raises(errors.DataError, match="row 3, column 'a'"):
            read_table(path, "y")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", " has no header: row 1 must hold the columns' names"),
            ("\n1,2\n", " has no header"),
            ("a,y\n1,2\n3\n", ", row 3: 1 cells, where the header has 2 columns"),
            ("a,y\n1,2\n3,4,5\n", ", row 3: 3 cells, where the header has 2 columns"),
            ("a,y\n1,2\n\n3,4\n", ", row 3: an empty row"),
            ("a,,y\n1,2,3\n", ": column 2 has no name"),
            (",a,y\n0,1,2\n", "index=False"),
            ("a,b, a ,y\n1,2,3,4\n", ": columns 1 and 3 are both named 'a' in row 1"),
            ("a,b\n1,2\n", ": there is no column 'y'; the header (row 1) names 'a', 'b'"),
            ("y\n1\n", ": there is no column beside 'y'"),
            ('a,y\n1,2\n3,"4\n5,6\n', ", row 3: unexpected end of data"),
            ('a,y\n1,2\n3,"4"4\n', ", row 3: "),
            ("a,y\n1,caf\u00e9\n".encode("latin-1"), " is not text in UTF-8"),
            ("a,y\n1,2\n".encode("utf-16"), " is not text in UTF-8"),
            (b"PK\x03\x04\xff\xfe\x00", " is not text in UTF-8"),
        ],
    )
    def test_what_is_no_table_is_told_as_such(self, tmp_path, text, reason):
        path = written(tmp_path, text)
        with pytest.raises(errors.FileFormatError) as error:
            read_table(path, "y")
        assert str(error.value).startswith(path)
        assert reason in str(error.value)

    def test_a_file_that_does_not_exist_is_the_systems_own_error(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_table(tmp_path / "none.csv")
        with pytest.raises(IsADirectoryError if os.name == "posix" else OSError):
            read_table(tmp_path)


class TestWhatATargetIsTakenFor:
    @pytest.mark.parametrize(
        ("labels", "task"),
        [
            (["red", "blue"] * 5, "classification"),
            (["1", "0"] * 2, "classification"),
            (["1.0", "2.0", "3"] * 4, "classification"),
            (["-1", "1"] * 9, "classification"),
            ([str(i) for i in range(20)] * 2, "classification"),
            ([str(i) for i in range(21)] * 2, "regression"),
            ([str(i) for i in range(10)], "regression"),  # each but once
            (["0.5", "1.5"] * 9, "regression"),
            (["1", "1.0", "2", "2.0", "3", "4"] * 1, "regression"),  # four different numbers in six rows
            (["007", "042"] * 5, "classification"),
            (["0", "10", "0.5"] * 5, "regression"),
            (["1", "2", "3+"] * 5 + ["3+"] * 10, "classification"),
        ],
    )
    def test_the_rule(self, labels, task):
        assert choose_task(targets(labels))[0] == task

    def test_the_reason_is_told(self):
        assert choose_task(targets(["a", "b", "a", "b"]))[1] == "text, 2 different values"
        assert choose_task(targets(["1", "2", "1", "2"]))[1] == "whole numbers, 2 different values"
        assert choose_task(targets(["1.5", "2", "1", "2"]))[1] == "numbers, 3 different values"

    def test_a_few_texts_among_numbers_are_taken_for_mistakes(self):
        labels = [str(i / 7) for i in range(50)]
        labels[30] = "n/a"
        with pytest.raises(errors.DataError, match=re.escape("t.csv, row 32, column 'y': 'n/a' is not a number")):
            choose_task(targets(labels))

    def test_names_are_not_taken_for_classes(self):
        with pytest.raises(errors.DataError, match="looks like names"):
            choose_task(targets([f"customer {i}" for i in range(50)]))


class TestAnything:
    """Whatever a file holds, it is read as it was written, or refused by an error of the library."""

    def test_tables_come_back(self, tmp_path):
        hypothesis = pytest.importorskip("hypothesis")
        from hypothesis import strategies as st

        text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).map(str.strip)
        names = st.lists(text.filter(bool), min_size=2, max_size=5, unique=True)
        value = st.floats(allow_nan=False, allow_infinity=False, width=32)
        label = text.filter(lambda cell: cell and cell.lower() != "nan")

        @hypothesis.given(st.data(), names, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
        @hypothesis.settings(max_examples=100)
        def holds(data, names, delimiter, end):
            row = st.tuples(*[value.map(repr)] * (len(names) - 1), label)
            rows = data.draw(st.lists(row, min_size=1, max_size=5))
            out = io.StringIO()
            csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([names, *rows])
            table = read_table(written(tmp_path, out.getvalue()), names[-1])
            assert table.features == tuple(names[:-1])
            assert table.labels == tuple(row[-1] for row in rows)
            np.testing.assert_array_equal(table.x, [[float(cell) for cell in row[:-1]] for row in rows])

        holds()

    def test_no_bytes_break_it(self, tmp_path):
        hypothesis = pytest.importorskip("hypothesis")
        from hypothesis import strategies as st

        pieces = st.sampled_from(
            [b"y", b"a", b",", b";", b"\t", b"\n", b"\r", b'"', b"1", b".5", b"nan", b"\x00", b"\xff"]
        )

        @hypothesis.given(st.binary() | st.lists(pieces, max_size=30).map(b"".join))
        @hypothesis.settings(max_examples=300)
        def holds(content):
            try:
                table = read_table(written(tmp_path, content), "y")
            except errors.FullyConnectedError as error:
                assert str(error).startswith(str(tmp_path / "table.csv"))  # noqa: PT017
            else:
                assert np.isfinite(table.x).all()
                assert len(table.x) == len(table.labels)

        holds()
