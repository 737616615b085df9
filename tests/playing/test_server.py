"""The server answers its own page, and nobody else."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fullyconnected as fc
from fullyconnected.errors import ConfigError, FullyConnectedError, InputTypeError, MissingPackageError
from fullyconnected.playing.public import house_of
from fullyconnected.playing.server import LARGEST_BODY, MOST_STREAMS, PAGE
from fullyconnected.playing.serving import Server
from fullyconnected.playing.wire import as_json

httpx = pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def play() -> Iterator[fc.Playground]:
    with fc.playground(data="moons") as play:
        yield play


@pytest.fixture
def own(play: fc.Playground) -> dict[str, str]:
    """Return the headers that a browser sends with the page's own requests."""
    return {"origin": f"http://127.0.0.1:{play.server.port}", "sec-fetch-site": "same-origin"}


class TestWhoIsAnswered:
    @pytest.mark.parametrize("path", ["", "hello", "stream", "playground.js", "step-1.html"])
    @pytest.mark.parametrize("token", ["", "x", "%ff", "..", "a" * 32, "hello"])
    def test_a_wrong_token_gets_nothing(self, play: fc.Playground, path: str, token: str) -> None:
        answer = httpx.get(f"http://127.0.0.1:{play.server.port}/{token}/{path}")
        assert answer.status_code in (403, 404)
        assert "<html" not in answer.text
        assert play.server.token not in answer.text

    def test_the_token_is_long_and_another_each_time(self, play: fc.Playground) -> None:
        with fc.playground() as other:
            assert len(other.server.token) >= 32
            assert other.server.token != play.server.token

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "", "0.0.0.0:{port}"]
    )
    def test_another_host_gets_nothing(self, play: fc.Playground, host: str, own: dict[str, str]) -> None:
        """So that a name which an attacker leads to this machine is of no use (DNS rebinding)."""
        host = host.format(port=play.server.port)
        for path in ("", "hello", "stream"):
            assert httpx.get(play.url + path, headers={"host": host}).status_code in (400, 421)
        answer = httpx.post(play.url + "command", json={"do": "pause"}, headers={**own, "host": host})
        assert answer.status_code in (400, 421)

    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_its_own_names_are_answered(self, play: fc.Playground, name: str) -> None:
        assert httpx.get(play.url, headers={"host": f"{name}:{play.server.port}"}).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"origin": "null"},
            {"origin": "https://evil.example"},
            {"origin": "http://127.0.0.1"},
            {"origin": "http://127.0.0.1:1"},
            {"origin": "https://127.0.0.1:{port}"},
            {"origin": "http://127.0.0.1:{port}", "sec-fetch-site": "cross-site"},
            {"origin": "http://127.0.0.1:{port}", "sec-fetch-site": "same-site"},
        ],
    )
    def test_commands_of_another_page_are_refused(self, play: fc.Playground, headers: dict[str, str]) -> None:
        headers = {name: value.format(port=play.server.port) for name, value in headers.items()}
        before = play.server.house.session.run_number
        for body in ({"do": "setup", "setup": {}}, {"do": "run"}):
            answer = httpx.post(play.url + "command", json=body, headers=headers)
            assert answer.status_code == 403
        assert play.server.house.session.run_number == before
        assert not play.server.house.session.running

    @pytest.mark.parametrize("path", ["stream", "hello", "playground.js"])
    def test_another_page_reads_nothing(self, play: fc.Playground, path: str) -> None:
        for site in ("cross-site", "same-site"):
            assert httpx.get(play.url + path, headers={"sec-fetch-site": site}).status_code == 403
            assert httpx.get(play.url, headers={"sec-fetch-site": site}).status_code == 200  # which a link opens
        assert httpx.get(play.url + path, headers={"origin": "https://evil.example"}).status_code == 403
        answer = httpx.get(play.url + "hello")
        assert not any(name.startswith("access-control") for name in answer.headers)

    def test_a_form_is_no_command(self, play: fc.Playground, own: dict[str, str]) -> None:
        """A form of another page can send text without being asked for permission."""
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            answer = httpx.post(play.url + "command", content=b'{"do":"run"}', headers={**own, "content-type": kind})
            assert answer.status_code == 415

    @pytest.mark.parametrize(
        "path",
        [
            "../server.py", "..%2fserver.py", "%2e%2e/%2e%2e/pyproject.toml", "protocol.md",
            "index.html/../protocol.md", "/etc/passwd", "%2fetc%2fpasswd", "playground.js%00", "playground.js/",
            "engine.js", "step-0.html", "step-99.html",
        ],
    )  # fmt: skip
    def test_no_other_file_is_given(self, play: fc.Playground, path: str) -> None:
        with socket.create_connection(("127.0.0.1", play.server.port)) as peer:  # a client would tidy the path up
            line = f"GET /{play.server.token}/{path} HTTP/1.1\r\n"
            peer.sendall(f"{line}Host: 127.0.0.1:{play.server.port}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
        assert answer.split(b" ", 2)[1] in (b"404", b"400")

    def test_files_are_those_of_the_list(self, play: fc.Playground) -> None:
        for path, (_, kind) in PAGE.items():
            answer = httpx.get(play.url + path)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == kind
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert httpx.post(play.url + path).status_code == 405

    def test_it_listens_on_this_machine_alone(self, play: fc.Playground) -> None:
        assert play.server.socket.getsockname()[0] == "127.0.0.1"


class TestCommands:
    def do(self, play: fc.Playground, own: dict[str, str], **command: Any) -> Any:
        return httpx.post(play.url + "command", json=command, headers=own)

    def test_a_setup_is_told_back(self, play: fc.Playground, own: dict[str, str]) -> None:
        told = self.do(play, own, do="setup", setup={"data": "xor", "hidden": [5]}).json()
        assert told["setup"]["hidden"] == [5]
        assert told["network"]["params"] == 21
        assert self.do(play, own, do="step", what="epoch").json() == {"step": 14}
        assert self.do(play, own, do="seek", to=3).json() == {"step": 3}

    @pytest.mark.parametrize(
        ("command", "said", "knob"),
        [
            ({"do": "setup", "setup": {"rows": 1}}, "rows is a whole number from 4 to 2000, such as 200; got", "rows"),
            ({"do": "setup", "setup": []}, "a setup is a value for each knob", None),
            (
                {"do": "setup", "setup": {"data": "formula", "formula": "os.x"}},
                "formula: 'os.x' cannot be read as a formula of x1 and x2",
                "formula",
            ),
            ({"do": "setup", "setup": {"norm": "batch", "batch_size": 1}}, "needs 2 or more", "batch_size"),
            ({"do": "steb"}, "did you mean 'step'", None),
            ({"do": "step", "what": "leap"}, "a step is one of", None),
            ({"do": "step", "wat": 1}, "the command step takes what", None),
            ({"do": "seek", "to": -1}, "to", None),
            ({"do": "seek", "to": "x"}, "to", None),
            ({"do": "seek", "to": 1e400}, "to", None),
            (
                {"do": "look", "row": 10**9},
                "row is the number of a point, a whole number from 0 to 199; got 1000000000",
                None,
            ),
            ({"do": "look", "x": [1]}, "x is a place in the picture, two numbers", None),
            (
                {"do": "weight", "layer": "dense_1", "part": "theta"},
                "in its part, W or b; got 'dense_1' and 'theta'",
                None,
            ),
            ({"do": "export", "what": "../secret"}, "what can be taken away is one of", None),
            (
                {"do": "run", "until": "x"},
                "until is the step to go to, a whole number from 0 to 1000000000; got 'x'",
                None,
            ),
            (
                {"do": "run", "pace": 0},
                "pace is how many steps a second are made at most, a number above 0; got 0",
                None,
            ),
            ({"do": "run", "pace": "fast"}, "pace", None),
            ({}, 'a command is an object such as {"do": "pause"}', None),
            ([], 'a command is an object such as {"do": "pause"}', None),
        ],
    )
    def test_what_is_wrong_is_said(
        self, play: fc.Playground, own: dict[str, str], command: Any, said: str, knob: Any
    ) -> None:
        body = json.dumps(command)
        headers = {**own, "content-type": "application/json"}
        answer = httpx.post(play.url + "command", content=body, headers=headers)
        assert answer.status_code == 400
        assert said in answer.json()["error"]
        assert answer.json()["knob"] == knob

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"do": "run"' + b" " * LARGEST_BODY + b"}"])
    def test_what_is_no_command_is_refused(self, play: fc.Playground, own: dict[str, str], body: bytes) -> None:
        answer = httpx.post(play.url + "command", content=body, headers={**own, "content-type": "application/json"})
        assert answer.status_code == (413 if len(body) > LARGEST_BODY else 400)

    def test_a_page_that_is_closed_amid_a_command_is_no_mistake(
        self, play: fc.Playground, own: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        token, port = play.server.token, play.server.port
        head = f"POST /{token}/command HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\norigin: {own['origin']}\r\n"
        with socket.create_connection(("127.0.0.1", port)) as page:
            page.sendall(f'{head}content-type: application/json\r\ncontent-length: 90\r\n\r\n{{"do"'.encode())
            time.sleep(0.2)
        time.sleep(0.5)
        assert self.do(play, own, do="pause").status_code == 200
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []

    def test_exports(self, play: fc.Playground, own: dict[str, str]) -> None:
        self.do(play, own, do="setup", setup={"batch_size": 2})
        for what in ("python", "model", "svg"):
            assert self.do(play, own, do="export", what=what).json()["name"].startswith(("playground", "network"))
        told = self.do(play, own, do="export", what="explanation").json()
        page = httpx.get(play.url + told["url"])
        assert page.text == told["text"]
        assert page.headers["content-type"].startswith("text/html")

    def test_a_mistake_of_the_playground_is_no_page_of_code(
        self, play: fc.Playground, own: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(play.server.house.session, "step", broken)
        answer = self.do(play, own, do="step")
        assert answer.status_code == 500
        assert "secret" not in answer.text


class TestTheStream:
    def test_it_begins_with_what_is_and_follows(self, play: fc.Playground, own: dict[str, str]) -> None:
        httpx.post(play.url + "command", json={"do": "setup", "setup": {}}, headers=own)
        with httpx.stream("GET", play.url + "stream", timeout=30) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            frames = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
            assert next(frames)["step"] == 0
            httpx.post(play.url + "command", json={"do": "step", "what": "epoch"}, headers=own)
            found = next(frames)
            while found["step"] == 0:
                found = next(frames)
            assert found["step"] == 14
            assert set(found["grid"]["data"]) == {"u1"}

    def test_readers_who_leave_are_forgotten(self, play: fc.Playground) -> None:
        house = play.server.house
        for _ in range(MOST_STREAMS + 4):
            with httpx.stream("GET", play.url + "stream") as stream:
                next(stream.iter_bytes())
        end = time.monotonic() + 20
        while house.streams and time.monotonic() < end:
            time.sleep(0.05)
        assert (house.streams, house.session.listeners) == (0, [])

    def test_there_is_a_limit(self, play: fc.Playground, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(play.server.house, "streams", MOST_STREAMS)
        assert httpx.get(play.url + "stream").status_code == 503

    def test_the_limit_holds_for_those_who_come_at_once(self, play: fc.Playground) -> None:
        house, request = (
            play.server.house,
            f"GET /{play.server.token}/stream HTTP/1.1\r\nhost: 127.0.0.1:{play.server.port}",
        )
        with contextlib.ExitStack() as stack:
            many = [
                stack.enter_context(socket.create_connection(("127.0.0.1", play.server.port)))
                for _ in range(MOST_STREAMS + 4)
            ]
            for each in many:
                each.sendall(f"{request}\r\n\r\n".encode())
            found = [each.recv(12)[-3:] for each in many]
            assert (found.count(b"200"), found.count(b"503")) == (MOST_STREAMS, 4)
        end = time.monotonic() + 20
        while house.streams and time.monotonic() < end:
            time.sleep(0.05)
        assert (house.streams, house.session.listeners) == (0, [])

    def test_json_has_no_nan(self) -> None:
        told = as_json({"a": float("inf"), "b": [np.float64("nan"), 1.5], "c": np.array([1.0])})
        assert json.loads(told) == {"a": None, "b": [None, 1.5], "c": {"f8": "AAAAAAAA8D8="}}


class TestPublic:
    def test_a_notebook_shows_it(self) -> None:
        with fc.playground(data="xor") as play:
            html = play._repr_html_()
            assert f'<iframe src="{play.url}"' in html
            assert "frame-ancestors" not in httpx.get(play.url).headers["content-security-policy"]
            network = play.network()
            play.server.house.session.step("epoch")
            assert (network.theta != play.network().theta).any()
            assert play.address() == "v=1&at=14"

    def test_it_ends(self) -> None:
        play = fc.playground()
        threads = threading.active_count()
        play.stop()
        assert threading.active_count() < threads
        with pytest.raises(httpx.ConnectError):
            httpx.get(play.url)
        play.stop()  # twice is as good

    def test_a_link_begins_it(self) -> None:
        with fc.playground(link="http://127.0.0.1:1/abc/#v=1&data=moons&at=30") as play:
            told = httpx.get(play.url + "hello").json()
        assert (told["setup"]["data"], told["at"]) == ("moons", 30)

    @pytest.mark.parametrize(
        ("given", "kind", "said"),
        [
            ({"rows": 1}, ConfigError, "rows is a whole number from 4 to 2000"),
            ({"row": 9}, ConfigError, "there is no knob 'row'; did you mean 'rows'"),
            ({"link": "#v=1", "rows": 9}, ConfigError, "a link has the whole setup"),
            ({"link": 3}, InputTypeError, "link is text"),
            ({"port": 99999}, ConfigError, "port is from 0 to 65535"),
            ({"port": "80"}, ConfigError, "port is from 0 to 65535"),
            ({"given": 3}, InputTypeError, "3 is of type int; a DataFrame, dict, list of rows or array is wanted"),
            ({"given": [1, 2]}, FullyConnectedError, "row 0 of the table is of type int"),
            ({"given": {}}, FullyConnectedError, "the table has no columns. A playground begins with a table"),
            ({"given": {"a": [*"abcdefgh"], "b": [*"abcdefgh"]}}, ConfigError, "Choose another target"),
            ({"target": "y"}, ConfigError, "target is about a table, and none was given"),
            ({"columns": "a,b"}, ConfigError, "columns is about a table, and none was given"),
            ({"given": fc.mlp([2, 3, 1], seed=0), "target": "y"}, ConfigError, "the network given is no table"),
            ({"data": "plane", "rows": 4, "test_share": 0.25}, ConfigError, "test_share: the target is"),
            ({"given": "no/such/file.csv"}, FullyConnectedError, "no/such/file.csv"),
        ],
    )
    def test_what_is_wrong_is_said(self, given: dict[str, Any], kind: type[Exception], said: str) -> None:
        with pytest.raises(kind) as error:
            fc.playground(**given)
        assert said in str(error.value)

    def test_a_port_in_use(self) -> None:
        with fc.playground() as play, pytest.raises(ConfigError, match=f"port {play.server.port} cannot be used"):
            fc.playground(port=play.server.port)

    @pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
    def test_without_the_extra_it_says_what_to_install(self, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(MissingPackageError, match=r"fullyconnected\[playground\]"):
            fc.playground()

    def test_a_table_in_memory(self) -> None:
        with fc.playground({"a": [1, 2, 3, 4], "b": [4, 1, 3, 2], "c": ["x", "y", "x", "y"]}) as play:
            told = httpx.get(play.url + "hello").json()
        assert told["data"]["classes"] == ["x", "y"]
        assert told["columns"] == ["a", "b", "c"]


class TestModels:
    @pytest.mark.parametrize(
        "layers",
        [
            [fc.Dense(2, 5, "relu"), fc.Dense(5, 1)],
            [fc.Dense(2, 1)],
            [fc.Dense(2, 4), fc.LayerNorm(), fc.Activation("tanh"), fc.Dropout(0.1), fc.Dense(4, 3)],
            [fc.Dense(2, 4, "gelu"), fc.Residual([fc.Dense(4, 4, "gelu")]), fc.Dense(4, 2)],
        ],
    )
    def test_a_network_goes_on(self, layers: list[fc.Layer], tmp_path: Path) -> None:
        net = fc.Network(layers, seed=3)
        path = tmp_path / "net.safetensors"
        net.save(path)
        session = house_of(str(path), None, {}, framed=False).session
        assert session.stepper.net.theta == pytest.approx(net.theta.astype(float), rel=0)
        session.step("epoch")

    @pytest.mark.parametrize(
        ("layers", "said"),
        [
            ([fc.Dense(3, 4, "relu"), fc.Dense(4, 1)], "has 3 inputs"),
            (
                [fc.Dense(2, 4, "relu"), fc.Dense(4, 4, "tanh"), fc.Dense(4, 1)],
                "layers that no knobs of the playground make",
            ),
            ([fc.Dense(2, 100, "relu"), fc.Dense(100, 1)], "layers that no knobs of the playground make"),
            ([fc.Dense(2, 4, "relu"), fc.Dense(4, 9)], "9 outputs"),
            ([fc.Dense(2, 4, "relu"), fc.Dense(4, 1, "sigmoid")], "layers that no knobs of the playground make"),
            ([fc.LayerNorm(n_in=2), fc.Dense(2, 1)], "layers that no knobs of the playground make"),
        ],
    )
    def test_another_is_refused(self, layers: list[fc.Layer], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            house_of(fc.Network(layers, seed=0), None, {}, framed=False)

    def test_other_layers_need_other_weights(self) -> None:
        session = house_of(fc.mlp([2, 5, 1], "relu", seed=0), None, {}, framed=False).session
        with pytest.raises(ConfigError, match="init: the weights of the network are for hidden layers"):
            session.begin(type(session.setup).of({**session.setup.plain(), "hidden": [6]}))


class TestTheCommand:
    """As a program, without a browser."""

    def start(self, *arguments: str, **more: Any) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "fullyconnected", "playground", "--no-browser", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", line)
        assert found, (line, process.stderr.read() if process.stderr else "")
        return process, found[0]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that a test can send to a program alone")
    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_a_signal_ends_it_quietly_while_it_trains_and_is_looked_at(self, name: str) -> None:
        import signal

        process, url = self.start("--link", "#v=1&data=circles")
        try:
            assert self.answers(url) == 200
            own = {"origin": url[: url.index("/", 8)]}
            httpx.post(url + "command", json={"do": "run"}, headers=own)
            with httpx.stream("GET", url + "stream") as stream:
                next(stream.iter_bytes())
                process.send_signal(getattr(signal, name))
                process.wait(20)
            assert process.stderr is not None
            assert process.stderr.read() == ""
            assert process.returncode == (0 if name == "SIGINT" else -signal.SIGTERM)
        finally:
            process.kill()
            process.communicate()

    @staticmethod
    def answers(url: str) -> int:
        end = time.monotonic() + 30
        while True:
            try:
                return int(httpx.get(url).status_code)
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def test_a_table_is_opened(self, tmp_path: Path) -> None:
        path = tmp_path / "flowers.csv"
        path.write_text("a,b,kind\n" + "".join(f"{i},{-i},{'xy'[i % 2]}\n" for i in range(20)), encoding="utf-8")
        process, url = self.start(str(path), "--columns", "b,a")
        try:
            self.answers(url)
            told = httpx.get(url + "hello").json()
            assert told["data"]["names"] == ["b", "a"]
            assert told["data"]["classes"] == ["x", "y"]
        finally:
            process.terminate()
            process.communicate()

    def test_a_port_in_use_and_a_wrong_link_are_told_in_a_line(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for arguments, said in [
                (["--port", str(port)], f"port {port} cannot be used"),
                (["--link", "#v=1&rows=1"], "rows is a whole number from 4 to 2000, such as 200; got 1"),
                ([str(tmp_path / "no.csv")], "no.csv"),
                (["--target", "x"], "target is about a table, and none was given"),
            ]:
                command = [sys.executable, "-m", "fullyconnected", "playground", "--no-browser", *arguments]
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
                assert done.returncode == 2
                assert said in done.stderr
                assert done.stderr.count("\n") == 1

    def test_closed_output_ends_it(self) -> None:
        command = [sys.executable, "-m", "fullyconnected", "playground", "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.close()
            try:
                assert process.wait(60) == 1
            finally:
                process.kill()


def test_a_server_that_comes_back_has_the_same_address() -> None:
    """So that a page finds it again."""
    first = Server(house_of(None, None, {}, framed=False))
    first.start()
    url, port, token = first.url, first.port, first.token
    first.stop()
    again = Server(house_of(None, None, {}, framed=False), port, token)
    again.start()
    try:
        assert again.url == url
        assert httpx.get(url).status_code == 200
        assert again.house.session.run_number > first.house.session.run_number
    finally:
        again.stop()
