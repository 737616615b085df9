"""CSV tables: how they are read, what their target is taken for, and every complaint with file, row and column."""

import codecs
import csv
import io
import os
import re
import shlex
import threading
from unicodedata import normalize

import numpy as np
import pytest

from fullyconnected import errors
from fullyconnected.tables.cells import is_missing
from fullyconnected.tables.table import ADVICE, Table, choose_task, read_table


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
            PLAIN.replace(",", "|"),
            PLAIN.encode("utf-16"),
            PLAIN.encode("utf-32"),
            codecs.BOM_UTF16_BE + PLAIN.replace(",", "\t").replace("\n", "\r\n").encode("utf-16-be"),
            "sep=;\n" + PLAIN.replace(",", ";"),  # Excel's own way to say what is between cells
            "\ufeffSEP=,\r\n" + PLAIN.replace("\n", "\r\n"),
            '"sep=;"\n' + PLAIN.replace(",", ";"),
            "sep=;;;\n" + PLAIN.replace(",", ";"),
            "sep=\t\n" + PLAIN.replace(",", "\t"),
            "sep=~\r" + PLAIN.replace(",", "~").replace("\n", "\r"),
            PLAIN + ",,\n , ,\n\n,,\n",  # rows at the end that a spreadsheet thinks are there
            PLAIN + "   \n",
            PLAIN + "\x1a",  # control-Z, the end of a file in DOS
            PLAIN.strip() + "\x1a",
            PLAIN + "\x1a\r\n",
            PLAIN + "\n \x1a\x1a\n\n\x1a",
            PLAIN.replace("\n", ",\n"),  # delimiters behind the last cell
            PLAIN.replace("\n", ",,,\n"),
            PLAIN.replace("\n", ",\n").replace("y,", "y"),  # of the rows alone
            PLAIN.replace("y\n", "y,,\n"),  # of the header alone
            "a,,b,y\n1,,2.5,red\n-3e1,,+.5,blue\n",  # an empty column between
            "a,b,y\nTrue,2.5,red\n-3e1,+.5,blue\n",
            "a,b,y\nTRUE,2.5,red\n\u221230,+.5,blue\n",
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
            ('"1,000"', "write 1000 or 1.000, whichever is meant"),
            ('"-1,000"', "write -1000 or -1.000, whichever is meant"),
            ('"0,125"', "decimals are written with a point"),
            ('"1.000,5"', "write 1000.5"),
            ('"1,000.5"', "write 1000.5"),
            ('"1,000,000"', "write 1000000"),
            ("1.000.000", "write 1000000"),
            ("1 000", "write 1000"),
            ("1\u00a0000", "write 1000"),
            ('"1\u202f000,5"', "write 1000.5"),
            ("1'000", "write 1000"),
            ("$5", "write the number alone: 5"),
            ("5\u00a0%", "write the number alone: 5"),
            ("(5)", "write the number alone: -5"),
            ("\u20ac1.000", "write 1000 or 1.000, whichever is meant"),
            ("0x10", "write it in decimal: 16"),
            ("10.12.2024", "'10.12.2024' is not a number"),
            ("yes", "'yes' is not a number"),
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

    @pytest.mark.parametrize(
        "cell",
        [
            *("NA", "na", "N/A", "?", "None", "NULL", "null", "#N/A", "<NA>", "-", "--", ".", "NaT", "n.a.", "\u2014"),
            *("#DIV/0!", "#REF!", "missing"),
        ],
    )
    def test_what_stands_for_a_missing_value_is_no_label_unless_it_is_said_to_be_one(self, tmp_path, cell):
        path = written(tmp_path, f"a,y\n1,u\n2,{cell}\n3,v\n4, {cell} \n")
        with pytest.raises(errors.DataError) as error:
            read_table(path, "y")
        said = f"{path}, row 3, column 'y': {cell!r} stands for a missing value, as in 2 rows; remove such rows."
        assert str(error.value).startswith(said)
        assert str(error.value).endswith(f"--label {shlex.quote(cell)}")
        assert read_table(path, "y", known=[cell]).labels == ("u", cell, "v", cell)

    def test_minus_is_a_label_beside_plus(self, tmp_path):
        assert read_table(written(tmp_path, "a,y\n1,-\n2,+\n3,-\n"), "y").labels == ("-", "+", "-")
        with pytest.raises(errors.DataError, match=r"row 4, column 'y': '\?' stands"):
            read_table(written(tmp_path, "a,y\n1,-\n2,+\n3,?\n"), "y")

    def test_true_and_false_are_numbers_in_features_and_text_in_a_target(self, tmp_path):
        path = written(tmp_path, "a,b,y\nTrue,1,TRUE\nfalse,0,FALSE\nFALSE,.5,FALSE\n1,1,TRUE\n")
        table = read_table(path, "y")
        np.testing.assert_array_equal(table.x, [[1, 1], [0, 0], [0, 0.5], [1, 1]])
        assert table.labels == ("TRUE", "FALSE", "FALSE", "TRUE")
        assert choose_task(table) == ("classification", "text, 2 different values")
        with pytest.raises(errors.DataError, match="'TRUE' is not a number; for text, use --task classification"):
            table.numbers()

    def test_a_minus_of_typography_is_one_in_a_target(self, tmp_path):
        table = read_table(written(tmp_path, "a,y\n1,\u22121.5\n2,2\n3,0\n"), "y")
        assert choose_task(table)[0] == "regression"
        assert table.numbers().tolist() == [-1.5, 2, 0]

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
            ("y\n1\n", ": there is no column but 'y'"),
            ('a,y\n1,2\n3,"4\n5,6\n', ", row 3: unexpected end of data"),
            ('a,y\n1,2\n3,"4"4\n', ", row 3: "),
            ("a,y\n1,caf\u00e9\n".encode("latin-1"), " is not text in UTF-8"),
            ("a,y\n1,2\n".encode("utf-16-le"), " is not text in UTF-8"),  # without its mark
            ("a,y\n1,2\n".encode("utf-16") + b"\x00", " is not text in UTF-8"),
            ("caf\u00e9,y\n1,2\n".encode("latin-1"), " is not text in UTF-8"),
            ("a,caf\u00e9\n1,2\n".encode("latin-1"), " is not text in UTF-8"),
            ("a,y\n1,2\n,\n3,4\n", ", row 3: an empty row"),
            ("a,y\n1,2\n3,4,5\n", "is to be quoted"),
            ("a,y\n1,2,,\n3,4,,5\n", ", row 3: 4 cells"),
            ('a,y\n"1",2\n3\n', ", row 3: 1 cells"),
            ('a,y\n1,"2\n2"\n3\n', ", row 3 (line 4 of the file): 1 cells, where the header has 2 columns"),
            ("sep=;\na;y\n1\n", ", row 2 (line 3 of the file): 1 cells, where the header has 2 columns"),
            ("a,,y\n1,,3\n1,2,3\n", ": column 2 has no name in the header (row 1), and '2' in row 3"),
            ("a y\n1 2\n", "; columns are separated by commas, semicolons, tabs or bars"),
            ("a,Y \n1,2\n", "names 'a', 'Y'; did you mean 'Y'?"),
            ("a," + "b" * 200_000 + "\n1,2\n", "there is no column 'y'"),
            (",,\n1,2,3\n", " has no header"),
            (b"PK\x03\x04\xff\xfe\x00", " is not text in UTF-8"),
        ],
    )
    def test_what_is_no_table_is_told_as_such(self, tmp_path, text, reason):
        path = written(tmp_path, text)
        with pytest.raises(errors.FileFormatError) as error:
            read_table(path, "y")
        assert str(error.value).startswith(path)
        assert reason in str(error.value)

    @pytest.mark.parametrize(
        "text",
        [
            ",a,b,notes\n0,1,2,x\n1,3,4,y\n",  # pandas' index
            "a,b,notes,notes,notes\n1,2,,,\n3,4,x,y,z\n",
            "a,b,,,\n1,2,nobody,asked,for this\n3,4,,,\n",
            "a,b,notes\n1,2," + "long " * 40_000 + "\n3,4,\n",
            "a,b," + "long " * 40_000 + "\n1,2,x\n3,4,y\n",
            "a,b,notes\n1,2,NA\n3,4,#N/A\n",
            "a,b,notes\n1,2,caf\u00e9\n3,4,x\n".encode("latin-1"),
            "a,b,caf\u00e9\n1,2,x\n3,4,x\n".encode("latin-1"),
            "a;notes, of any kind;b\n1;a,b,c;2\n3;a,b,c;4\n",
            "a,b,notes\n1,2,NUL \x00 and \x1a\n3,4,x\n",
            'a,b,notes\n1,2,5" pipe\n3,4,x\n',
        ],
    )
    def test_columns_that_nobody_asks_for_may_hold_and_be_called_anything(self, tmp_path, text):
        limit = csv.field_size_limit()
        table = read_table(written(tmp_path, text), features=["b", "a"])
        np.testing.assert_array_equal(table.x, [[2, 1], [4, 3]])
        assert csv.field_size_limit() == limit

    def test_a_column_that_is_asked_for_must_be_there_once(self, tmp_path):
        path = written(tmp_path, "a,b,b\n1,2,3\n")
        with pytest.raises(errors.FileFormatError, match="columns 2 and 3 are both named 'b'"):
            read_table(path, features=["a", "b"])

    @pytest.mark.parametrize(("there", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
    def test_letters_are_the_same_however_accents_are_put_together(self, tmp_path, there, asked):
        header = normalize(there, "gr\u00f6\u00dfe,\u0439")
        table = read_table(written(tmp_path, f"{header}\n1,2\n"), normalize(asked, "\u0439"))
        assert f"{table.features[0]},{table.target}" == header
        other = read_table(written(tmp_path, f"{header}\n1,2\n"), features=[normalize(asked, "gr\u00f6\u00dfe")])
        assert other.x.tolist() == [[1]]

    @pytest.mark.parametrize(
        ("text", "target"),
        [
            ("a,b;y\n1,5;0\n2,5;1\n", "y"),
            ("a;b,y\n1;5,0\n2;5,1\n", "y"),
            ("y;a,b\n0;1,5\n", "y"),
            ("a|b,c|y\n1|2,3|0\n", "y"),
            ("a\tb,c\n1\t2,3\n", "b,c"),
            ("size, m;y\n1;2\n", "y"),
        ],
    )
    def test_the_columns_asked_for_say_what_is_between_cells(self, tmp_path, text, target):
        path = written(tmp_path, text)
        try:
            assert read_table(path, target).target == target
        except errors.DataError as error:  # a cell with a comma is none; but the columns are right
            assert "is not a number" in str(error)  # noqa: PT017

    def test_a_long_first_cell_in_the_rows_does_not_hide_what_is_between_cells(self, tmp_path):
        text = "a;b;y\n" + "1;2;" + "x, y" * 50_000 + "\n"
        assert read_table(written(tmp_path, text), features=["a", "b"]).x.tolist() == [[1, 2]]

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

    @pytest.mark.parametrize(
        ("labels", "said"),
        [
            (
                ["1,000", "2,000", "950"] * 5,
                "row 2, column 'y': '1,000' is not a number; write 1000 or 1.000, whichever",
            ),
            (["1,5", "2,5"] * 5, "row 2, column 'y': '1,5' is not a number; decimals are written with a point"),
            (["5 %", "6 %"] * 5, "row 2, column 'y': '5 %' is not a number; write the number alone: 5"),
            (["3", "$5", "$6"] * 5, "row 3, column 'y': '$5' is not a number; write the number alone: 5"),
        ],
    )
    def test_numbers_in_another_notation_are_not_taken_for_classes(self, labels, said):
        with pytest.raises(errors.DataError) as error:
            choose_task(targets(labels))
        assert str(error.value).startswith(f"t.csv, {said}")
        assert str(error.value).endswith("Correct it, or use --task classification to take each text for a class")
        with pytest.raises(errors.DataError, match=re.escape(said)):
            targets(labels).numbers()
        assert choose_task(targets(["<5 %", "5 %", "more"] * 5))[0] == "classification"

    def test_names_are_not_taken_for_classes(self):
        with pytest.raises(errors.DataError, match="look like names"):
            choose_task(targets([f"customer {i}" for i in range(50)]))


class TestAnything:
    """Whatever a file holds, it is read as it was written, or refused by an error of the library."""

    def test_tables_come_back(self, tmp_path):
        hypothesis = pytest.importorskip("hypothesis")
        from hypothesis import strategies as st

        text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).map(str.strip)
        names = st.lists(text.filter(bool), min_size=2, max_size=5, unique_by=lambda name: normalize("NFC", name))
        value = st.floats(allow_nan=False, allow_infinity=False, width=32)
        label = text.filter(lambda cell: not is_missing(cell))

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
            [
                b"y",
                b"a",
                b",",
                b";",
                b"\t",
                b"\n",
                b"\r",
                b'"',
                b"1",
                b".5",
                b"nan",
                b"\x00",
                b"\xff",
                b"|",
                b"sep=;\n",
                b"\x1a",
                b"\xff\xfe",
                b"\xef\xbb\xbf",
                b"True",
                b"\xe2\x88\x92",
            ]
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
