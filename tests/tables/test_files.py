"""Tables in files: every format and spelling, and every complaint with file, line and column."""

import codecs
import contextlib
import csv
import datetime as dt
import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest

from fullyconnected import errors
from fullyconnected.core import mapped
from fullyconnected.tables.cells import is_missing
from fullyconnected.tables.files import FORMATS, read_frame
from fullyconnected.tables.frame import frame_of
from fullyconnected.tables.kinds import judge


def written(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def cells(frame):
    return {column.name: column.values.tolist() for column in frame.columns}


def complaint(path, kind=errors.FileFormatError, **options):
    """Return the message without the file's name, with which it begins."""
    with pytest.raises(kind) as error:
        read_frame(path, **options)
    assert type(error.value) is kind
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(str(path))


class TestDelimited:
    PLAIN = "a,b,y\n1,2.5,red\n-3e1,+.5,blue\n"

    @pytest.mark.parametrize(
        "text",
        [
            PLAIN,
            PLAIN.replace(",", ";"),
            PLAIN.replace(",", "\t"),
            PLAIN.replace(",", "|"),
            PLAIN.replace("\n", "\r\n"),
            PLAIN.replace("\n", "\r"),
            PLAIN.strip(),  # no line end after the last row
            "\n\n" + PLAIN.replace("\n", "\n\n") + "  \n",  # blank lines
            "\ufeff" + PLAIN,  # as Excel writes UTF-8
            '"a","b","y"\n"1","2.5","red"\n"-3e1","+.5","blue"\n',
            "a, b, y\n 1, 2.5 ,red\n-3e1,+.5, blue \n",
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
            PLAIN + "\x1a",  # control-Z, the end of a file in DOS
            PLAIN.strip() + "\x1a",
            PLAIN + "\n \x1a\x1a\n\n\x1a",
            PLAIN.replace("\n", ",\n"),  # delimiters behind the last cell
            PLAIN.replace("\n", ",,,\n"),
            PLAIN.replace("\n", ",\n").replace("y,", "y"),  # of the rows alone
            PLAIN.replace("y\n", "y,,\n"),  # of the header alone
            "a,,b,y\n1,,2.5,red\n-3e1,,+.5,blue\n",  # an empty column between
        ],
    )
    def test_the_same_table_in_every_spelling(self, tmp_path, text):
        frame = read_frame(written(tmp_path, text))
        assert cells(frame) == {"a": ["1", "-3e1"], "b": ["2.5", "+.5"], "y": ["red", "blue"]}
        assert (frame.rows, frame.named, frame.source) == (2, True, str(tmp_path / "table.csv"))

    @pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "T.CSV", "t.csv.gz", "t.tsv.GZ"])
    def test_names(self, tmp_path, name):
        data = self.PLAIN.encode()
        path = written(tmp_path, gzip.compress(data) if name.lower().endswith("gz") else data, name)
        assert read_frame(path).names == ("a", "b", "y")
        assert read_frame(Path(path)).rows == 2

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
    def test_a_pipe_is_read_once_as_csv(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_text("a;b\n1;2\n", encoding="utf-8"), daemon=True)
        writer.start()
        assert cells(read_frame(pipe)) == {"a": ["1"], "b": ["2"]}
        writer.join(10)

    def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(self, tmp_path):
        frame = read_frame(written(tmp_path, '"size, m","the ""y""\nof it"\n1,"a,b"\n2,"c\nd"\n3,e\n'))
        assert cells(frame) == {"size, m": ["1", "2", "3"], 'the "y"\nof it': ["a,b", "c\nd", "e"]}
        assert [frame.place(row) for row in range(3)] == [f"{tmp_path / 'table.csv'}, line {n}" for n in (3, 4, 6)]

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("size, m;price, EUR;y, z\n1;2;3\n", ["size, m", "price, EUR", "y, z"]),
            ("a,b;y\n1,5;0\n2,5;1\n", ["a,b", "y"]),
            ("a;b,y\n1;5,0\n2;5,1\n", ["a", "b,y"]),
            ("name;size, m\nA;1,5\nB;2,5\n", ["name", "size, m"]),
            ("a|b,c|y\n1|2,3|0\n", ["a", "b,c", "y"]),
            ("a\tb,c\n1\t2,3\n", ["a", "b,c"]),
            ("text,y\nred; green,1\nblue,2\n", ["text", "y"]),
            ("a;b;y\n1;2;" + "x, y" * 50_000 + "\n", ["a", "b", "y"]),
            ("a," + "b" * 200_000 + "\n1,2\n", ["a", "b" * 200_000]),
            ("a\n1\n2\n", ["a"]),
            ("a\n\n1\n", ["a"]),
        ],
    )
    def test_what_is_between_cells_is_guessed(self, tmp_path, text, names):
        assert [*read_frame(written(tmp_path, text)).names] == names

    def test_a_column_alone_may_have_quoted_gaps(self, tmp_path):
        assert cells(read_frame(written(tmp_path, 'a\n1\n""\n2\n\n""\n'))) == {"a": ["1", None, "2", None]}

    def test_text_stays_text_and_what_stands_for_a_gap_is_missing(self, tmp_path):
        text = 'zip,n,when,code,none\n02134,"1,5",2024-01-31,NA,\n00501,2,2024-02-29,?,\n'
        frame = read_frame(written(tmp_path, text))
        assert cells(frame) == {
            "zip": ["02134", "00501"],
            "n": ["1,5", "2"],
            "when": ["2024-01-31", "2024-02-29"],
            "code": [None, None],
            "none": [None, None],
        }
        assert {column.origin for column in frame.columns} == {"written"}
        assert [each.kind for each in judge(frame)] == ["category", "boolean", "date", "missing", "missing"]

    @pytest.mark.parametrize("asked", ["gr\u00f6\u00dfe", "gro\u0308\u00dfe"])
    def test_labels_may_look_like_gaps(self, tmp_path, asked):
        path = written(tmp_path, "a,gr\u00f6\u00dfe\n?,NA\n1,None\n,\n2,-\n")
        assert cells(read_frame(path, verbatim=[asked])) == {
            "a": [None, "1", None, "2"],
            "gr\u00f6\u00dfe": ["NA", "None", None, "-"],
        }

    def test_that_everything_is_text_is_not_worth_a_note(self, tmp_path):
        text = "n;comma;when;odd\n" + "".join(f"{i};{i},5;2024-01-{i % 28 + 1:02};{i or 'x'}\n" for i in range(30))
        notes = [each.note for each in judge(read_frame(written(tmp_path, text)))]
        assert notes[1:] == [
            "numbers with a decimal comma",
            "",
            "numbers; one other cell, such as 'x', is missing; whole numbers without repetition or wide gaps, as the "
            "numbers of rows are: leave them out, if so",
        ]
        assert not notes[0].startswith("numbers")

    def test_a_table_of_more_than_the_sample(self, tmp_path):
        x = np.random.default_rng(0).integers(0, 1000, (3000, 40)).astype(str)
        frame = read_frame(written(tmp_path, "\n".join(",".join(row) for row in [[f"c{i}" for i in range(40)], *x])))
        np.testing.assert_array_equal(np.column_stack([column.values for column in frame.columns]), x)

    def test_many_columns(self, tmp_path):
        path = written(tmp_path, ";".join(f"c{i}" for i in range(20_000)) + "\n" + ";".join("1" * 20_000) + "\n")
        assert read_frame(path).names[-1] == "c19999"

    def test_the_limit_of_pythons_csv_is_left_as_it_was(self, tmp_path):
        limit = csv.field_size_limit()
        assert read_frame(written(tmp_path, "a,b\n1," + "long " * 40_000 + "\n")).rows == 1
        with pytest.raises(errors.FileFormatError):
            read_frame(written(tmp_path, 'a,b\n1,"2\n'))
        assert csv.field_size_limit() == limit

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", ": the file is empty"),
            ("\n \n", ": the file has nothing but blank lines"),
            (",,\n1,2,3\n", ", line 1: this must be the header, which holds the names of the columns"),
            (
                "\n5.1,3.5\n4.9,3\n",
                ", line 2: this must be the header, which holds the names of the columns; it holds n",
            ),
            (
                "a,b, a \n1,2,3\n",
                ", line 1, the header: columns 1 and 3 are both named 'a'; rename one, or leave it out",
            ),
            ("\u0439,\u0438\u0306\n1,2\n", ", line 1, the header: columns 1 and 2 are both named"),
            (",a,y\n0,1,2\n", ", line 2: '0' in column 1, which has no name in the header (line 1); if pandas wrote"),
            ("a,,y\n1,,3\n1,2,3\n", ", line 3: '2' in column 2, which has no name in the header (line 1)"),
            ("a,y\n1,2\n3\n4,5\n", ", line 3: 1 cell, where the header has 2 columns"),
            ("a,y\n\n1,2\n3", ", line 4: 1 cell, where the header has 2 columns; the file may be cut short"),
            ("a,y\n1,2\n3,4,5\n", ", line 3: 3 cells, where the header has 2 columns; a cell that contains the delimi"),
            ('"a","y"\n"1",5,2\n"2",7,1\n', ", and names of rows have a column of their own: row.names = FALSE in R"),
            ("a,y\n1,2,,\n3,4,,5\n", ", line 3: 4 cells, where the header has 2 columns"),
            ('a,y\n1,"2\n2"\n3\n', ", line 4: 1 cell, where"),
            ("sep=;\na;y\n1\n", ", line 3: 1 cell, where"),
            ('a,y\n1,2\n3,"4\n5,6\n', ", line 3, column 'y': a quote that opens here is never closed; the file is cut"),
            ('sep=,\na,y\n"3,4\n5,6\n', ", line 3, column 'a': a quote that opens"),
            ('a,"y\n1,2\n', ", line 1, in the header: a quote that opens here is never closed"),
            ('a,y\n1,2\n3,"4"4\n', ", line 3: ',' expected after '\"': within quotes, a quote is written twice"),
            ("a,y\n1,\0\n", ", line 2, column 'y': a NUL character, which no text has"),
            ("a,y\n1,2\n".encode("utf-16-le"), " is not text in UTF-8: every other byte or so is 0, as in UTF-16 with"),
            (
                "a,y\n1,2\n".encode("utf-16") + b"\x00",
                ", line 3, column 'a': the file is cut short, in UTF-16, as which",
            ),
            (b"\xff\xfe\x00\xdc\x00\xdc", ", line 1, in the header: illegal"),
            (b"PK\x03\x04\xff\xfe\x00", " holds no text, but a spreadsheet (.xlsx, .ods) or another ZIP archive: save"),
            (b"PAR1", " holds no text, but Parquet: let its name end in .parquet"),
            (b"\x1f\x8b\x08", " holds no text, but packed by gzip"),
            (b"SQLite format 3\0", " holds no text, but an SQLite database: let its name end in .sqlite"),
        ],
    )
    def test_what_is_no_table_is_told_as_such(self, tmp_path, text, said):
        found = complaint(written(tmp_path, text))
        assert found.endswith(said) if said.startswith(", and") else found.startswith(said)

    @pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
    @pytest.mark.parametrize(
        ("text", "place", "looks"),
        [
            ("a,y\n1,x\n2,caf\u00e9\n", "line 3, column 'y'", "caf\u00e9"),
            ("a;y\r\n\u00e9t\u00e9 1;2\r\n", "line 2, column 'a'", "\u00e9t\u00e9"),
            ("a,caf\u00e9\n1,2\n", "line 1, in the header", "caf\u00e9"),
        ],
    )
    def test_another_encoding_is_told_with_the_one_that_it_may_be(self, tmp_path, mark, text, place, looks):
        assert complaint(written(tmp_path, mark + text.encode("latin-1"))) == (
            f", {place}: the byte 0xe9 is not text in UTF-8. In Windows-1252 it is {looks!r}: if so, convert the file "
            f"with iconv -f WINDOWS-1252 -t UTF-8, or save it in a spreadsheet as 'CSV UTF-8'"
        )

    def test_mixed_encodings(self, tmp_path):
        path = written(tmp_path, b"a,y\n1,z\xc3\xbcrich\n2,gen\xe8ve\n")
        assert complaint(path).endswith(
            "the file has mixed encodings. In Windows-1252 it is 'gen\u00e8ve'; correct the cell"
        )

    def test_a_byte_that_is_not_in_the_usual_encoding_either(self, tmp_path):
        assert "is not text in UTF-8; save the file as UTF-8" in complaint(written(tmp_path, b"a,y\n1,\x81\n"))

    @pytest.mark.parametrize("text", ["a,b\n", "a,b\n,\n", "a,b\n\n"])
    def test_a_header_alone(self, tmp_path, text):
        assert complaint(written(tmp_path, text), errors.DataError) == ": there are columns, but no rows"

    def test_gzip(self, tmp_path):
        packed = gzip.compress(self.PLAIN.encode() * 100)
        assert "cut short" in complaint(written(tmp_path, packed[:-10], "t.csv.gz"))
        assert "cut short" in complaint(written(tmp_path, packed[:5], "t.csv.gz"))
        assert "damaged, or not packed by gzip" in complaint(written(tmp_path, self.PLAIN, "t.csv.gz"))
        assert "damaged" in complaint(written(tmp_path, packed[:12] + b"\xff" * 20 + packed[32:], "t.csv.gz"))

    def test_tables_come_back(self, tmp_path):
        hypothesis = pytest.importorskip("hypothesis")
        from hypothesis import strategies as st

        text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).map(str.strip)
        names = st.lists(text.filter(bool), min_size=2, max_size=5, unique_by=lambda name: normalize("NFC", name))
        names = names.filter(lambda names: not all(name.replace(".", "").isdecimal() for name in names))
        cell = text.filter(lambda cell: not is_missing(cell))

        @hypothesis.given(st.data(), names, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n"]))
        @hypothesis.settings(max_examples=30)
        def holds(data, names, delimiter, end):
            rows = data.draw(st.lists(st.tuples(*[cell] * len(names)), min_size=1, max_size=5))
            out = io.StringIO()
            csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([names, *rows])
            said = f"sep={delimiter}{end}" if delimiter != "\t" else f"sep=\t{end}"
            frame = read_frame(written(tmp_path, said + out.getvalue()))
            assert cells(frame) == {name: [row[i] for row in rows] for i, name in enumerate(names)}

        holds()

    def test_any_bytes_are_read_or_refused(self, tmp_path):
        hypothesis = pytest.importorskip("hypothesis")
        from hypothesis import strategies as st

        @hypothesis.given(st.binary(max_size=60) | st.text(alphabet='a1,;"\n\r\t\x1a\ufeff|=sep\0.').map(str.encode))
        @hypothesis.settings(max_examples=60)
        def holds(data):
            for name in ("t.csv", "t.json", "t.jsonl", "t.csv.gz", "t.sqlite"):
                with contextlib.suppress(errors.FullyConnectedError):
                    assert read_frame(written(tmp_path, data, name)).rows > 0

        holds()


class TestPlaces:
    @pytest.mark.parametrize("name", ["sale.csv", "none.parquet", "no.json", "no.db", "no"])
    def test_no_such_file(self, tmp_path, name):
        written(tmp_path, "", "Sales.csv")
        said = complaint(tmp_path / name, errors.FileAccessError)
        meant = f"; did you mean {tmp_path / 'Sales.csv'}?" if name == "sale.csv" else ""
        assert said == f": there is no such file{meant}"
        with pytest.raises(OSError, match="there is no such file"):  # as that of open
            read_frame(tmp_path / name)
        folder = tmp_path / "away"
        assert complaint(folder / name, errors.FileAccessError).endswith(f"nor a folder {folder}")

    def test_a_name_in_the_working_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        written(tmp_path, "", "sales.csv")
        assert complaint("sales.cvs", errors.FileAccessError) == ": there is no such file; did you mean sales.csv?"

    def test_a_folder(self, tmp_path):
        for name in ("b.csv", "a.csv", ".hidden"):
            written(tmp_path, "", name)
        assert complaint(tmp_path, errors.FileAccessError) == " is a folder; name a file in it: 'a.csv', 'b.csv'"
        folder = tmp_path / "t.csv"
        folder.mkdir()
        assert "is a folder" in complaint(folder, errors.FileAccessError)

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (PermissionError(13, "Permission denied"), ": the file may not be read: Permission denied"),
            (OSError(5, "Input/output error"), ": the file cannot be read: Input/output error"),
        ],
    )
    def test_a_file_that_may_not_be_read(self, tmp_path, monkeypatch, error, said):
        def refuse(*arguments, **options):
            raise error

        path = written(tmp_path, "a\n1\n")
        monkeypatch.setattr("fullyconnected.tables.files.source.open", refuse, raising=False)
        assert complaint(path, errors.FileAccessError) == said

    @pytest.mark.parametrize("name", ["t.xlsx", "t", "t.parquet.gz", "t.gz", "t.csv.zip"])
    def test_a_name_that_says_nothing(self, tmp_path, name):
        said = complaint(written(tmp_path, "a\n1\n", name))
        assert all(suffix in said for each in FORMATS for suffix in each.suffixes)

    def test_what_is_no_path(self, tmp_path):
        with pytest.raises(errors.ConfigError, match="give a path, or a query"):
            read_frame(None)
        with pytest.raises(errors.InputTypeError, match=r"os\.fsdecode"):
            read_frame(os.fsencode(tmp_path / "t.csv"))

    def test_a_table_is_named_in_a_database_alone(self, tmp_path):
        with pytest.raises(errors.ConfigError, match="table='t' is for SQLite"):
            read_frame(written(tmp_path, "a\n1\n"), table="t")

    def test_csv_json_and_sqlite_need_numpy_alone(self, tmp_path):
        written(tmp_path, "a\n1\n")
        written(tmp_path, '{"a": 1}\n', "t.jsonl")
        database(tmp_path / "t.db", t={"a": [1]})
        code = (
            "import sys; from fullyconnected.tables.files import read_frame\n"
            "for name in ('table.csv', 't.jsonl', 't.db'): read_frame(name)\n"
            "print(*({'narwhals', 'pandas', 'polars', 'pyarrow', 'duckdb', 'sklearn'} & sys.modules.keys()))"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        assert run.stdout.strip() == ""

    def test_a_python_without_sqlite(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "sqlite3", None)
        with pytest.raises(errors.MissingPackageError, match="built without"):
            read_frame(tmp_path / "t.db")

    @pytest.mark.parametrize(
        ("package", "call"),
        [
            ("pyarrow", "read_frame('t.parquet')"),
            ("narwhals.stable.v2", "read_frame('t.parquet')"),
            ("pyarrow", "read_frame(None, query='select 1')"),
            ("duckdb", "read_frame(None, query='select 1')"),
        ],
    )
    def test_without_a_package_the_extra_is_named(self, monkeypatch, package, call):
        for needed in {"pyarrow", "narwhals", "duckdb"} - {package.partition(".")[0]}:
            pytest.importorskip(needed)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(errors.MissingPackageError, match=r"fullyconnected\[files\]") as error:
            eval(call)
        assert f"needs the package {package.partition('.')[0]}," in str(error.value)


class TestJson:
    def test_types_stay(self, tmp_path):
        lines = ['{"n": 1, "t": "01", "b": true}', "", '{"n": null, "b": false, "x": 2.5}', '{"t": "NA"}\r']
        frame = read_frame(written(tmp_path, "\n".join(lines), "t.jsonl"))
        np.testing.assert_equal(
            cells(frame),
            {"n": [1, np.nan, np.nan], "t": ["01", None, "NA"], "b": [1, 0, np.nan], "x": [np.nan, 2.5, np.nan]},
        )
        assert [column.origin for column in frame.columns] == ["integer", "text", "boolean", "number"]
        assert frame.place(1, "b").endswith("t.jsonl, line 3, column 'b'")
        some = frame.at(np.array([2, 1])).without("x")
        assert (some.rows, some.names, some.column("t").values.tolist()) == (2, ("n", "t", "b"), ["NA", None])
        assert some.place(0).endswith("t.jsonl, line 4")

    @pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.ndjson", "t.jsonl.gz", "t.json.gz"])
    def test_forms(self, tmp_path, name):
        rows = [{"a": i, "b": f"\u00fc{i}"} for i in range(3)]
        listed = ".json" in name and ".jsonl" not in name
        text = json.dumps(rows) if listed else "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        data = text.encode("utf-16" if name == "t.json" else "utf-8-sig")
        frame = read_frame(written(tmp_path, gzip.compress(data) if name.endswith("gz") else data, name))
        assert cells(frame) == {"a": [0, 1, 2], "b": ["\u00fc0", "\u00fc1", "\u00fc2"]}
        assert frame.place(1).endswith("row 2" if listed else "line 2")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"a": 1}\n{"a": 2', ", line 2: the JSON is cut short"),
            ('{"a": 1}\n{"a": "x', ", line 2: the JSON is cut short: Unterminated string, at character 7"),
            ('{"a": 1}\n{"a": x}\n', ", line 2: this is not JSON: Expecting value, at character 7"),
            ('{"a": 1} {"a": 2}\n', ", line 1: this is not JSON: Extra data, at character 10"),
            ("[1, 2]\n", ", line 1: a list ([1, 2]); an object is wanted, whose keys are the columns"),
            ('{"a": 1}\n3\n', ", line 2: a number (3); an object is wanted"),
            (
                '{"a": 1}\n{"a": [1]}\n',
                ", line 2, column 'a': a list ([1]); a number, text, true, false or null is wan",
            ),
            ('{"a": {"b": 1}}\n', ", line 1, column 'a': an object ({\"b\": 1}); a number"),
            ('{"a": 1, "b": 2, "a": 3}\n', ", line 1: the key 'a' is there twice in an object"),
            ('{"a": "\\ud800"}\n', ", line 1, column 'a': half of a pair of \\u escapes"),
            ('{"a": ' + "9" * 5000 + "}\n", ", line 1: Exceeds the limit"),
            ('{"a": 1, "": 2}\n', ": column 2 has no name"),
            ("{}\n{}\n", ": the objects have no keys, which are the columns"),
            ("\n\n", " has no rows"),
            ("", ": the file is empty"),
            ("[" * 100_000, ", line 1: the JSON is"),
            (b'{"a": "caf\xe9"}\n', ", line 1: the byte 0xe9 is not text in UTF-8. In Windows-1252 it is 'caf\u00e9'"),
            (b'{"a": "\0"}\n', ", line 1: a NUL character"),
        ],
    )
    def test_lines_that_are_no_rows(self, tmp_path, text, said):
        assert complaint(written(tmp_path, text, "t.jsonl")).startswith(said)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"a": [1]}', ' holds an object ({"a": [1]}); a list of objects is wanted'),
            ("[]", " has no rows"),
            ('[{"a": 1},\n{"a": [2]}]', ", row 2, column 'a': a list ([2])"),
            ('[{"a": 1},\n{"a" 2}]', ": this is not JSON: Expecting ':' delimiter, at line 2, character 6"),
            ('[{"a": 1},\n{"a": 2}', ": the JSON is cut short"),
            (
                '{"a": 1}\n{"a": 2}\n',
                ": this is not JSON: Extra data, at line 2, character 1; if it has an object in e",
            ),
        ],
    )
    def test_a_list_that_is_none(self, tmp_path, text, said):
        assert complaint(written(tmp_path, text, "t.json")).startswith(said)

    def test_what_a_column_cannot_hold(self, tmp_path):
        path = written(tmp_path, json.dumps([{"a": 1}, {"a": 10**400}]), "t.json")
        assert complaint(path, errors.DataError).startswith(": column 'a', row 1: the number is too large")

    def test_keys_that_are_values(self, tmp_path):
        path = written(tmp_path, "".join(f'{{"{i}": 1}}\n' for i in range(3000)), "t.jsonl")
        assert complaint(path).startswith(": 3,000 records have 3,000 different keys, most of them in few records")


def database(path, **tables):
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for name, columns in tables.items():
            names = ", ".join(f'"{column}"' for column in columns)
            quoted = name.replace('"', '""')
            connection.execute(f'CREATE TABLE "{quoted}" ({names})')
            marks = ", ".join("?" * len(columns))
            connection.executemany(f'INSERT INTO "{quoted}" VALUES ({marks})', zip(*columns.values(), strict=True))
    return str(path)


class TestSqlite:
    @pytest.mark.parametrize("name", ["t.sqlite", "t.sqlite3", "t.db", "odd ? #100% name.db"])
    def test_types_stay(self, tmp_path, name):
        columns = {"n": [1, None, 3], "x": [1.5, 2, None], "t": ["NA", "", "07"], "mixed": [1, "b", None]}
        frame = read_frame(database(tmp_path / name, sales=columns))
        np.testing.assert_equal(
            cells(frame),
            {"n": [1, np.nan, 3], "x": [1.5, 2, np.nan], "t": ["NA", None, "07"], "mixed": ["1", "b", None]},
        )
        assert frame.place(2, "t") == f"{tmp_path / name}, table 'sales', row 3, column 't'"

    def test_of_several_tables_one_is_named(self, tmp_path):
        path = database(tmp_path / "t.db", sales={"a": [1]}, shops={"b": [2]}, **{'odd "name"': {"c": [3]}})
        assert complaint(path, errors.ConfigError) == (
            " has 3 tables; name one of them: 'odd \"name\"', 'sales', 'shops'"
        )
        assert read_frame(path, table="Shops").names == ("b",)
        assert read_frame(path, table='odd "name"').names == ("c",)
        with pytest.raises(errors.UnknownNameError, match="did you mean 'sales'"):
            read_frame(path, table="sale")
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE VIEW twice AS SELECT 2 * a AS d FROM sales")
        assert cells(read_frame(path, table="twice")) == {"d": [2]}

    def test_a_query(self, tmp_path):
        path = database(tmp_path / "t.db", sales={"a": [1, 2, 3]}, shops={"b": [2, 3, 4], "c": ["x", "y", "z"]})
        frame = read_frame(path, query="SELECT c, a FROM sales JOIN shops ON a = b ORDER BY a")
        assert cells(frame) == {"c": ["x", "y"], "a": [2, 3]}
        for query, kind, said in [
            ("SELECT d FROM sales", errors.DataError, ", the query 'SELECT d FROM sales': no such column: d"),
            ("SELEC", errors.DataError, ", the query 'SELEC': near"),
            ("SELECT a FROM sales WHERE a > 9", errors.DataError, ", the query: there are columns ('a'), but no rows"),
            ("SELECT a, a FROM sales", errors.FileFormatError, ", the query: columns 1 and 2 are both named 'a'"),
            ("DELETE FROM sales", errors.DataError, ", the query 'DELETE FROM sales': attempt to write a readonly"),
            ("BEGIN", errors.ConfigError, ", the query gives no rows of a table; it is to begin with SELECT"),
            ("SELECT 1; SELECT 2", None, ", the query 'SELECT 1; SELECT 2': You can only execute one statement"),
        ]:
            assert complaint(path, kind or errors.DataError, query=query).startswith(said)
        assert len(read_frame(path, table="sales").columns[0].values) == 3
        with pytest.raises(errors.ConfigError, match="do not go together"):
            read_frame(path, table="sales", query="SELECT 1")

    def test_what_is_no_database(self, tmp_path):
        assert complaint(written(tmp_path, "", "t.db")) == ": the file is empty"
        assert "is no SQLite database" in complaint(written(tmp_path, "a,b\n1,2\n", "t.db"))
        whole = Path(database(tmp_path / "whole.db", t={"a": list(range(5000))})).read_bytes()
        assert "damaged, or cut short" in complaint(written(tmp_path, whole[: len(whole) // 2], "t.db"))
        assert "damaged, or cut short" in complaint(written(tmp_path, whole[:100] + b"\xff" * 4000, "t.db"))
        with contextlib.closing(sqlite3.connect(tmp_path / "bare.db")) as connection, connection:
            connection.execute("CREATE TABLE t (a)")
            connection.execute("DROP TABLE t")
        assert complaint(tmp_path / "bare.db") == " has no tables"

    def test_what_a_table_cannot_hold(self, tmp_path):
        path = database(tmp_path / "t.db", t={"a": [1, 2], "b": ["x", b"\0"]}, none={"a": []})
        said = complaint(path, errors.InputTypeError, table="t")
        assert said.startswith(", table 't', row 2, column 'b': a binary value; a number or text is wanted")
        assert complaint(path, errors.DataError, table="none").endswith("there are columns ('a'), but no rows")
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE latin AS SELECT CAST(x'636166e9' AS TEXT) AS a")
        assert "Could not decode to UTF-8 column 'a'" in complaint(path, errors.DataError, table="latin")

    def test_a_locked_database(self, tmp_path, monkeypatch):
        monkeypatch.setattr("fullyconnected.tables.files.sqlite.PATIENCE", 0.01)
        path = database(tmp_path / "t.db", t={"a": [1]})
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            said = complaint(path, errors.FileAccessError)
            assert said == ": database is locked: another program writes to it; close that, or copy the file"
            other.execute("ROLLBACK")
        assert read_frame(path).rows == 1


class TestParquet:
    @pytest.fixture
    def save(self, tmp_path):
        pytest.importorskip("narwhals")
        pq = pytest.importorskip("pyarrow.parquet")

        def save(table, name="t.parquet"):
            pq.write_table(table, tmp_path / name)
            return str(tmp_path / name)

        return save

    def test_types_stay(self, save):
        pa = pytest.importorskip("pyarrow")
        columns = {
            "n": pa.array([1, None, 3]),
            "x": pa.array([1.5, None, 2], pa.float32()),
            "t": pa.array(["NA", None, "07"], pa.large_string()),
            "c": pa.array(["u", "v", None]).dictionary_encode(),
            "b": pa.array([True, None, False]),
            "d": pa.array([Decimal("1.25"), None, Decimal(3)]),
            "day": pa.array([dt.date(2024, 2, 29), None, dt.date(1969, 1, 1)]),
            "at": pa.array([dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)] * 3, pa.timestamp("ms", "Europe/Oslo")),
            "none": pa.nulls(3),
            "__index_level_0__": pa.array([7, 8, 9]),  # pandas's index
        }
        frame = read_frame(save(pa.table(columns)))
        expected = {
            "n": [1, np.nan, 3],
            "x": [1.5, np.nan, 2],
            "t": ["NA", None, "07"],
            "c": ["u", "v", None],
            "b": [1, np.nan, 0],
            "d": [1.25, np.nan, 3],
            "day": [dt.datetime(2024, 2, 29), None, dt.datetime(1969, 1, 1)],
            "at": [dt.datetime(2024, 1, 1, 12)] * 3,
            "none": [np.nan] * 3,
        }
        np.testing.assert_equal(cells(frame), expected)
        origins = ["integer", "number", "text", "category", "boolean", "number", "date", "date", "nothing"]
        assert [column.origin for column in frame.columns] == origins
        assert frame.place(0).endswith("t.parquet, row 1")

    def test_what_is_no_parquet(self, tmp_path, save):
        pa = pytest.importorskip("pyarrow")
        path = save(pa.table({"a": list(range(10_000))}))
        whole = Path(path).read_bytes()
        for end in (4, 6, 11, len(whole) // 2, len(whole) - 1):
            assert "cut short: it has no footer" in complaint(written(tmp_path, whole[:end], "t.parquet"))
        assert "is no Parquet file" in complaint(written(tmp_path, "a,b\n1,2\n", "t.parquet"))
        assert complaint(written(tmp_path, "", "t.parquet")) == ": the file is empty"
        middle = len(whole) - 100
        damaged = whole[:middle] + b"\xff" * 50 + whole[middle + 50 :]
        assert "the file is damaged" in complaint(written(tmp_path, damaged, "t.parquet"))

    def test_files_of_a_folder_are_one_table(self, save, tmp_path):
        pa = pytest.importorskip("pyarrow")
        (tmp_path / "b").mkdir()
        save(pa.table({"n": [1, 2], "t": ["x", None]}), "part-0.parquet")
        save(pa.table({"n": [3], "t": ["x"]}), "b/part-1.parquet")
        save(pa.table({"n": [4, None], "t": ["y", "z"]}), "part-2.parquet")
        frame = read_frame(tmp_path)
        np.testing.assert_equal(cells(frame), {"n": [3, 1, 2, 4, np.nan], "t": ["x", "x", None, "y", "z"]})
        assert [column.origin for column in frame.columns] == ["integer", "text"]
        frame = read_frame(tmp_path / "part-*.parquet")
        np.testing.assert_equal(cells(frame), {"n": [1, 2, 4, np.nan], "t": ["x", None, "y", "z"]})
        assert frame.source == str(tmp_path / "part-*.parquet")
        assert frame.place(1).endswith("part-0.parquet, row 2")
        assert frame.at(np.array([3])).place(0, "t").endswith("part-2.parquet, row 2, column 't'")

    def test_files_of_a_folder_that_are_no_one_table(self, save, tmp_path):
        pa = pytest.importorskip("pyarrow")
        with pytest.raises(errors.FileAccessError, match="is a folder; name a file in it"):
            read_frame(tmp_path)
        with pytest.raises(errors.FileAccessError, match="there is no file"):
            read_frame(tmp_path / "part-*.parquet")
        save(pa.table({"n": [1], "t": ["x"]}), "0.parquet")
        save(pa.table({"n": ["1.5"], "t": ["x"]}), "1.parquet")
        with pytest.raises(errors.DataError, match=r"column 'n' is string in .*1.parquet, and int64 in .*0.parquet"):
            read_frame(tmp_path)
        written(tmp_path, b"PAR1 and so on", "1.parquet")
        with pytest.raises(errors.FileFormatError, match=r"1.parquet: the file is cut short"):
            read_frame(tmp_path)

    def test_numbers_of_a_large_table_lie_in_a_file(self, save, monkeypatch):
        pa = pytest.importorskip("pyarrow")
        monkeypatch.setattr(mapped, "LARGE", 100)
        frame = read_frame(save(pa.table({"a": np.arange(100.0), "b": np.arange(100).astype("M8[s]")})))
        for some in (frame, frame.at(np.arange(100) % 2 == 0), frame.at(np.array([5, 3]))):
            assert all(mapped.is_mapped(each.values) == hasattr(os, "posix_fallocate") for each in some.columns)
        assert frame.at(np.array([5, 3])).columns[0].values.tolist() == [5.0, 3.0]

    def test_what_a_table_cannot_hold(self, save):
        pa = pytest.importorskip("pyarrow")
        said = complaint(save(pa.table({"a": [1], "b": [b"x"]})), errors.InputTypeError)
        assert said.startswith(": the column 'b' is binary (binary)")
        said = complaint(save(pa.table({"a": [1], "b": [[1, 2]]})), errors.InputTypeError)
        assert said.startswith(": the column 'b' is of the type List")
        assert complaint(save(pa.table({"a": pa.array([], pa.int64())})), errors.DataError) == (
            ": there are columns, but no rows"
        )
        twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
        assert complaint(save(twice)).startswith(": columns 1 and 2 are both named 'a'")
        assert complaint(save(pa.table({"": [1]}))) == ": column 1 has no name"
        assert complaint(save(pa.table({"__index_level_0__": [1]}))) == " has no columns"


class TestQueriesOverFiles:
    @pytest.fixture(autouse=True)
    def packages(self):
        for name in ("narwhals", "pyarrow", "duckdb"):
            pytest.importorskip(name)

    @pytest.fixture
    def shop(self, tmp_path):
        folder = tmp_path / "a 'shop'"
        folder.mkdir()
        written(folder, "shop,sold\n1,2.5\n2,7\n1,4\n", "sales.csv")
        written(folder, '{"shop": 1, "town": "Oslo"}\n{"shop": 2, "town": null}\n', "shops.jsonl")
        return folder

    QUERY = """
        SELECT town, sum(sold) AS sold, count(*) AS n
        FROM 'sales.csv' JOIN 'shops.jsonl' USING (shop) GROUP BY town ORDER BY n
    """

    def test_names_are_relative_to_the_folder(self, shop, monkeypatch):
        expected = {"town": [None, "Oslo"], "sold": [7, 6.5], "n": [1, 2]}
        frame = read_frame(shop, query=self.QUERY)
        assert cells(frame) == expected
        assert frame.place(1, "n").startswith("the query 'SELECT town, sum(sold)")
        monkeypatch.chdir(shop)
        assert cells(read_frame(None, query=self.QUERY)) == expected

    def test_parquet_in_a_query(self, tmp_path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"a": [1, 2, 3]}), tmp_path / "t.parquet")
        assert cells(read_frame(tmp_path, query="FROM 't.parquet' WHERE a > 1")) == {"a": [2, 3]}

    @pytest.mark.parametrize(
        ("query", "kind", "said"),
        [
            ("SELEC", errors.DataError, ": Parser Error: syntax error"),
            ("SELECT nope FROM 'sales.csv'", errors.DataError, 'Referenced column "nope" not found'),
            ("FROM 'none.csv'", errors.DataError, "No files found"),
            ("FROM shop", errors.DataError, "Table with name shop does not exist"),  # a variable of this file
            ("FROM 'https://localhost/t.csv'", errors.DataError, "httpfs"),
            ("", errors.ConfigError, "is not one statement that gives a table"),
            ("SELECT 1; SELECT 2", errors.ConfigError, "is not one statement that gives a table"),
            ("COPY (SELECT 1) TO 'new.csv'", errors.ConfigError, "is not one statement that gives a table"),
            ("FROM 'sales.csv' WHERE sold > 99", errors.DataError, ": there are columns, but no rows"),
            ("SELECT 1 AS a, 2 AS a", errors.FileFormatError, ": columns 1 and 2 are both named 'a'"),
            ("SELECT 'x'::BLOB AS a", errors.InputTypeError, ": the column 'a' is binary"),
            ("SELECT [1, 2] AS a", errors.InputTypeError, ": the column 'a' is of the type List"),
        ],
    )
    def test_what_is_wrong_with_a_query(self, shop, query, kind, said):
        before = sorted(os.listdir(shop))
        with pytest.raises(kind) as error:
            read_frame(shop, query=query)
        assert str(error.value).startswith(f"the query {query!r:.30}"[:30])
        assert said in str(error.value)
        assert "\n" not in str(error.value)
        assert sorted(os.listdir(shop)) == before

    def test_a_file_is_named_in_the_query(self, shop):
        with pytest.raises(errors.ConfigError, match=r"names them itself: SELECT \* FROM 'sales.csv'"):
            read_frame(shop / "sales.csv", query="SELECT 1")


def test_estimators_take_what_is_read(tmp_path):
    pytest.importorskip("sklearn")
    import fullyconnected as fc

    rng = np.random.default_rng(0)
    x, town = rng.normal(size=60), rng.choice(["Oslo", "Bergen", "NA"], 60)
    text = "town,x,y\n" + "".join(f"{t},{v},{v > 0}\n" for t, v in zip(town, x, strict=True))
    frame = read_frame(written(tmp_path, text), verbatim=["y"])
    model = fc.TabularClassifier(n_members=2, hidden=4, epochs=2, random_state=0)
    model.fit(frame.without("y"), frame.column("y").values)
    assert model.classes_.tolist() == ["False", "True"]
    assert [each.kind for each in model.report_.columns] == ["category", "number"]
    other = read_frame(written(tmp_path, "y,x,town\n,0.5,Oslo\n,-1,\n"))  # the columns in another order
    p = model.predict_proba(other)
    np.testing.assert_array_equal(p, model.predict_proba({"town": ["Oslo", None], "x": [0.5, -1]}))
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(p, fc.Predictor(tmp_path / "model.safetensors").predict_proba(other))


def test_numbers_as_text_are_encoded_at_once_as_they_are_one_by_one():
    from fullyconnected.tables.vocabulary import Vocabulary

    for text in (["1", "-2.5", None, "1e3", " 7 "], ["1", "2_0", "3", "4", "5"], ["nan", "1", "2", "3", "inf"]):
        frame = frame_of({"a": text, "b": ["x"] * 5})
        plain = frame_of({"a": ["1", "2", "3.5", "4", "50"], "b": ["x"] * 5})
        vocabulary = Vocabulary.of(plain, judge(plain))
        one_by_one = []
        try:
            one_by_one = [vocabulary.encode_row({"a": cell, "b": "x"})[0].tolist() for cell in text]
        except errors.DataError as error:
            said = str(error).partition(": ")[2]
            with pytest.raises(errors.DataError) as at_once:
                vocabulary.encode(frame)
            assert str(at_once.value).endswith(said)
        else:
            np.testing.assert_array_equal(vocabulary.encode(frame), one_by_one)
