"""What ``fullyconnected comm`` measures and says: of one process, of real ones, and of what is given to it."""

import json
import re
from dataclasses import replace

import pytest

import fullyconnected as fc
from fullyconnected.cli import comm, main
from fullyconnected.comm import measure, model
from fullyconnected.comm.measure import Host, Measured
from fullyconnected.comm.model import Interconnect, Work
from tests.comm.launch import run
from tests.comm.threads import Group

SHORT = ["--seconds", "0.05", "--layers", "5,8,2", "--batch-size", "30"]
ONE = Host("node-1", 2, 2, 2, 0.1)
WORK = Work(669_706, 1e11, 5e-4)
LINK = Interconnect(2e-6, 5e9)
FOUND = Measured(
    comm="mpi",
    processes=2,
    hosts=(ONE,),
    engine="native: kernels for avx2, 1 threads",
    threads=1,
    layers=(784, 512, 512, 10),
    parameters=WORK.parameters,
    rows=1024,
    alone={256: model.compute(256, WORK), 1024: model.compute(1024, WORK)},
    work=WORK,
    sums={n: model.all_reduce(2, n, LINK) for n in (4_000, WORK.bytes, 64_000_000)},
    link=LINK,
    together=model.step(2, 1024, WORK, LINK),
)


def said(found):
    return " ".join(" ".join(comm._lines(found)).split())


class TestOneProcess:
    def test_its_steps_are_measured_and_no_network(self, capsys):
        assert main(["comm", *SHORT]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "1 process on 1 host" in out
        assert "5-8-2: 66 parameters; a step of 30 rows on a process takes" in out
        assert "there is no network to measure" in out
        assert "mpiexec -n 2 fullyconnected comm" in out

    def test_as_json(self, capsys):
        assert main(["comm", *SHORT, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["processes"], found["parameters"], found["rows"], found["link"]) == (1, 66, 30, None)
        assert found["work"]["flops"] > 0
        assert set(found["alone"]) == {"7", "30"}

    def test_a_batch_of_one_row(self):
        found = measure.measure(fc.Comm(), [2, 1], 1, 0.01)
        assert set(found.alone) == {1}
        assert found.work.flops == pytest.approx(6 * 3 / found.alone[1])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--layers", "5"], "--layers is the widths of a network, such as 784,512,512,10; got '5'"),
            (["--layers", "5,0"], "--layers is the widths"),
            (["--layers", "5,x"], "--layers is the widths"),
            (["--batch-size", "0"], "--batch-size must be 1 or more; got 0"),
            (["--seconds", "0"], "--seconds must be more than 0"),
            (["--seconds", "nan"], "--seconds must be more than 0"),
        ],
    )
    def test_what_cannot_be_is_told_in_a_line(self, arguments, message, capsys):
        assert main(["comm", *SHORT, *arguments]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"fullyconnected: error: {message}")
        assert err.count("\n") == 1

    def test_mpi_without_a_launcher_says_how_to_start(self, capsys, monkeypatch):
        pytest.importorskip("mpi4py")
        for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PALS_NRANKS", "FLUX_JOB_SIZE", "SLURM_STEP_NUM_TASKS"):
            monkeypatch.delenv(name, raising=False)
        assert main(["comm", *SHORT, "--comm", "mpi"]) == 2
        assert "mpiexec -n 4" in capsys.readouterr().err


@pytest.mark.parametrize("size", [2, 3])
def test_all_processes_measure_the_same(size, monkeypatch):
    monkeypatch.setattr(measure, "LADDER", (400, 4_000))
    every = Group(size).run(lambda comm: measure.measure(comm, [5, 8, 2], 12, 0.05))
    first = every[0]
    assert all(each == first for each in every)
    assert first.processes == size
    assert [*first.sums] == [264, 400, 4_000]  # the network's gradient among them
    assert first.link == model.interconnect_of(size, list(first.sums.items()))
    assert first.together > 0
    assert first.hosts[0].processes == size


class TestWhatIsSaid:
    def test_from_how_many_rows_a_machine_pays(self):
        out = said(FOUND)
        gain, double = (model.rows_to_gain(2, WORK, LINK, more) for more in (3, 4))
        enough = model.rows_for_efficiency(2, WORK, LINK)
        assert f"A further machine pays from {round(gain)} rows a machine on" in out
        assert f"Twice as many are from {round(double)} rows on" in out
        assert f"From {round(enough)} rows on each, 2 are 1.6 times as fast as one, 80% of what they could be." in out
        larger = int(re.search(r"with larger batches than (\d+) rows, 3 machines", out)[1])
        for batch, gains in ((larger + 1, True), (larger - 2, False)):
            assert (model.speed_up(3, batch, WORK, LINK) > model.speed_up(2, batch, WORK, LINK)) == gains

    def test_what_was_measured(self):
        out = said(FOUND)
        assert "2 processes on 1 host (node-1), 1 thread in each" in out
        assert "They share the memory of one host: what is measured is no network between machines." in out
        assert "4 kB 4.8 us 0.833" in out
        assert "64 MB 12.8 ms 5" in out
        assert "a message takes 2 us, and 5 GB/s go from one process to another" in out
        assert "takes 42.2 ms: 41.6 ms is what each computes, and 540 us the sum of 2.68 MB (by the fit 540 us)" in out
        assert "The model below says 42.2 ms." in out

    def test_the_model_has_a_line_for_each_number_of_machines(self):
        lines = [line.split() for line in comm._lines(FOUND)]
        for machines in comm.MACHINES:
            (line,) = [line for line in lines if line[:1] == [str(machines)] and line[-2].endswith("%")]
            assert line[-2] == f"{model.efficiency(machines, 1024, WORK, LINK):.0%}"
            assert line[-1] == f"{model.rows_for_efficiency(machines, WORK, LINK):,.0f}"

    def test_several_hosts_are_a_network(self):
        out = said(replace(FOUND, hosts=tuple(Host(f"n{i}", 1, 1, 4, 0.0) for i in range(6))))
        assert "on 6 hosts (n0, n1, n2, n3, ...)" in out
        assert "share" not in out.partition("A sum")[0]

    def test_cores_that_are_shared_and_work_of_others(self):
        out = said(replace(FOUND, hosts=(Host("a", 4, 4, 2, 1.5), Host("b", 1, 1, 2, None))))
        assert "a: 4 threads share 2 cores, so each is slower than it would be alone." in out
        assert "a: the load average is 1.5 on 2 cores, so others work here, too" in out
        assert "b:" not in out

    @pytest.mark.parametrize(("factor", "told"), [(1.4, False), (1.6, True)])
    def test_a_step_that_is_longer_than_its_parts(self, factor, told):
        out = said(replace(FOUND, together=factor * FOUND.together))
        assert ("That is much longer than its parts" in out) == told

    def test_a_link_that_is_too_fast_to_be_seen(self):
        link = Interconnect(0.0, float("inf"))
        out = said(replace(FOUND, link=link))
        assert "a message takes 0 s, and any bandwidth" in out

    @pytest.mark.parametrize("width", [40, 80])
    def test_lines_are_ascii_and_as_long_as_the_window(self, width, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(width))
        odd = replace(FOUND, hosts=(Host("größe", 2, 4, 2, 9.0),))
        for line in comm._lines(odd):
            assert line.isascii()
            assert len(line) <= width


@pytest.mark.parametrize("n", [2, 4])
def test_real_processes_of_which_the_first_prints(n):
    done = run(n, ["-m", "fullyconnected", "comm", *SHORT], timeout=240)
    assert done.returncode == 0, done.stderr
    out = " ".join(done.stdout.split())
    assert out.count(f"{n} processes on 1 host") == 1
    assert out.count(f"A sum of numbers over all {n} processes") == 1
    assert "sums by mpi" in out
    for size in ("264 bytes", "4 kB", "64 MB"):
        assert re.search(rf"\b{size} [\d.]+ (us|ms|s) [\d.e-]+", out)
    assert "A further machine pays from" in out
    assert re.search(r"256 \S+ (us|ms|s) \d+% [\d,]+", out)


def test_real_processes_print_json():
    done = run(2, ["-m", "fullyconnected", "comm", *SHORT, "--json", "--comm", "mpi"], timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["comm"], found["processes"], found["rows"]) == ("mpi", 2, 15)
    assert [row["machines"] for row in found["model"]] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert found["link"]["latency"] >= 0


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("error", ["fc.errors.ConfigError('no rows here')", "RuntimeError('no rows here')"])
def test_an_error_of_one_process_ends_all(rank, error, tmp_path):
    script = tmp_path / "one_fails.py"
    script.write_text(
        "import sys\nimport fullyconnected as fc\nfrom fullyconnected.cli import main\n"
        "from fullyconnected.comm import measure\n"
        "def failing(comm, *arguments):\n"
        f"    if comm.rank == {rank}:\n        raise {error}\n"
        "    comm.gather(None)\n"
        "measure.measure = failing\n"
        f"sys.exit(main({['comm', *SHORT]}))\n",
        encoding="utf-8",
    )
    done = run(2, script, timeout=120)
    assert done.returncode == (2 if "Config" in error else 1)
    assert "no rows here" in done.stderr
