"""The time of a step of many machines, by formula: limits, monotony, and the table of docs/scale.md."""

import math
from pathlib import Path

import pytest

from fullyconnected.comm import model
from fullyconnected.comm.model import Interconnect, Work

LINKS = {
    "10 Gbit/s Ethernet": Interconnect(25e-6, 1.1e9, 1 / 8e9),
    "25 Gbit/s Ethernet": Interconnect(20e-6, 2.8e9, 1 / 8e9),
    "100 Gbit/s RDMA": Interconnect(3e-6, 11e9, 1 / 8e9),
}
SMALL, LARGE = Work(669_706, 1.2e12), Work(8_350_000, 1.2e12)  # 784-512-512-10, and one that is larger
DOCUMENT = Path(__file__).parents[2] / "docs" / "scale.md"


class TestSums:
    @pytest.mark.parametrize("way", [model.ring, model.halving, model.all_reduce])
    def test_one_machine_sums_nothing(self, way):
        assert way(1, 1e9, LINKS["10 Gbit/s Ethernet"]) == 0

    def test_the_terms_of_the_ring(self):
        n, machines = 6e6, 8
        assert model.ring(machines, n, Interconnect(1.0, math.inf)) == 14
        assert model.ring(machines, n, Interconnect(0.0, 1.0)) == pytest.approx(2 * 7 / 8 * n)
        assert model.ring(machines, n, Interconnect(0.0, math.inf, 1.0)) == pytest.approx(7 / 8 * n)

    def test_the_terms_of_halving_and_doubling(self):
        n = 6e6
        assert [model.halving(w, n, Interconnect(1.0, math.inf)) for w in (2, 4, 8, 256)] == [2, 4, 6, 16]
        for machines in (2, 4, 64):
            for link in (Interconnect(0.0, 1.0), Interconnect(0.0, math.inf, 1.0)):
                assert model.halving(machines, n, link) == pytest.approx(model.ring(machines, n, link))
        more = model.halving(5, n, Interconnect(1.0, 2.0, 3.0)) - model.halving(4, n, Interconnect(1.0, 2.0, 3.0))
        assert more == pytest.approx(2 + 2 * n / 2 + n * 3)

    def test_the_faster_way_is_taken(self):
        slow = Interconnect(1e-3, 1e12)  # where messages are dear, few are best
        assert model.all_reduce(8, 1e6, slow) == model.halving(8, 1e6, slow) < model.ring(8, 1e6, slow)
        narrow = Interconnect(1e-9, 1e6)  # where bytes are, of a number of machines that is no power of 2, the ring is
        assert model.all_reduce(5, 1e6, narrow) == model.ring(5, 1e6, narrow) < model.halving(5, 1e6, narrow)

    def test_more_bytes_and_worse_links_take_longer(self):
        link = LINKS["25 Gbit/s Ethernet"]
        for machines in (2, 3, 7, 64):
            times = [model.all_reduce(machines, n, link) for n in (0, 1e3, 1e6, 1e9)]
            assert times == sorted(times)
            worse = link._replace(latency=1.0), link._replace(bandwidth=1.0), link._replace(reduction=1.0)
            assert all(model.all_reduce(machines, 1e6, each) > times[2] for each in worse)

    def test_many_machines_send_each_byte_twice(self):
        assert model.all_reduce(1 << 20, 1e6, Interconnect(0.0, 1e9)) == pytest.approx(2e6 / 1e9, rel=1e-5)


class TestSteps:
    def test_one_machine_computes_alone(self):
        for link in LINKS.values():
            assert model.step(1, 128, SMALL, link) == model.compute(128, SMALL)
            assert model.efficiency(1, 128, SMALL, link) == model.speed_up(1, 128, SMALL, link) == 1

    def test_without_a_price_of_sums_all_is_shared(self):
        free = Interconnect(0.0, math.inf)
        assert model.speed_up(64, 4096, SMALL, free) == pytest.approx(64)
        assert model.efficiency(64, 1, SMALL, free) == 1
        # what does not depend on the rows is not shared: no more machines make it less
        assert model.speed_up(10**9, 4096, SMALL._replace(fixed=0.5), free) == pytest.approx(
            model.compute(4096, SMALL._replace(fixed=0.5)) / 0.5, rel=1e-6
        )

    def test_efficiency_is_the_share_of_all_speeds_together(self):
        link, work = LINKS["25 Gbit/s Ethernet"], SMALL._replace(fixed=1e-3)
        assert model.efficiency(8, 512, work, link) == pytest.approx(model.speed_up(8, 4096, work, link) / 8)
        computing = model.compute(512, SMALL) / model.step(8, 512, SMALL, link)
        assert model.efficiency(8, 512, SMALL, link) == pytest.approx(computing)
        assert model.efficiency(8, 512, work, link) < computing  # each machine has what does not depend on rows

    def test_efficiency_rises_with_rows_and_falls_with_machines(self):
        link = LINKS["10 Gbit/s Ethernet"]
        by_rows = [model.efficiency(64, rows, SMALL, link) for rows in (1, 16, 256, 4096, 1 << 20)]
        assert by_rows == sorted(by_rows)
        assert by_rows[-1] > 0.99
        by_machines = [model.efficiency(1 << n, 1024, SMALL, link) for n in range(9)]
        assert by_machines == sorted(by_machines, reverse=True)

    @pytest.mark.parametrize("machines", [2, 3, 8, 64, 100])
    @pytest.mark.parametrize("fixed", [0.0, 2e-4])
    @pytest.mark.parametrize("share", [0.5, 0.8])
    def test_the_rows_for_an_efficiency_have_it(self, machines, fixed, share):
        work = SMALL._replace(fixed=fixed)
        for link in LINKS.values():
            rows = model.rows_for_efficiency(machines, work, link, share)
            assert model.efficiency(machines, rows, work, link) == pytest.approx(share)

    @pytest.mark.parametrize("machines", [1, 2, 3, 4, 7, 63, 64])
    @pytest.mark.parametrize("more", [None, 256])
    def test_a_further_machine_is_faster_from_the_rows_on_from_which_it_pays(self, machines, more):
        others = machines + 1 if more is None else more
        for link in LINKS.values():
            rows = model.rows_to_gain(machines, SMALL, link, more)
            # 8 machines sum in fewer messages than 7, and then pay with any batch
            for factor in (0.98, 1.02) if rows else (1.02,):
                batch = factor * rows * machines or 1e-9
                gains = model.speed_up(others, batch, SMALL, link) > model.speed_up(machines, batch, SMALL, link)
                assert gains == (factor > 1)

    def test_a_machine_that_makes_the_sum_no_dearer_pays_with_any_batch(self):
        assert model.rows_to_gain(7, SMALL, Interconnect(0.0, math.inf)) == 0

    def test_the_size_of_the_network_hardly_matters(self):
        link = LINKS["25 Gbit/s Ethernet"]
        small, large = (model.rows_for_efficiency(64, work, link) for work in (SMALL, LARGE))
        assert large == pytest.approx(small, rel=0.15)


class TestFits:
    @pytest.mark.parametrize("machines", [2, 3, 4, 8])
    def test_a_link_is_found_again_in_its_sums(self, machines):
        way = model.ring if machines == 3 else model.halving
        points = [(n, way(machines, n, Interconnect(5e-6, 3e9))) for n in (4e3, 6.4e4, 1e6, 6.4e7)]
        found = model.interconnect_of(machines, points)
        assert found.latency == pytest.approx(5e-6)
        assert found.bandwidth == pytest.approx(3e9)

    @pytest.mark.parametrize("wrong", range(6))
    def test_a_measurement_that_is_far_off_changes_nothing(self, wrong):
        points = [(4.0**n, 7.0 + 4.0**n / 50) for n in range(6)]
        points[wrong] = (points[wrong][0], 30 * points[wrong][1])
        p, q = model.fitted(points)
        assert p == pytest.approx(7.0, rel=1e-3)
        assert q == pytest.approx(1 / 50, rel=1e-3)

    def test_nothing_is_below_zero(self):
        assert model.fitted([(1, 1.0), (2, 4.0)]) == (0.0, pytest.approx(1, rel=1e-3))
        assert model.fitted([(1, 4.0), (2, 1.0)])[1] == 0
        assert model.fitted([(5, 2.0)]) == (2.0, 0.0)
        assert model.interconnect_of(2, [(10, 4.0), (20, 4.0)]) == Interconnect(2.0, math.inf)


# What the study has that led to MPI, in the milliseconds, percents and times that it gives.
PAPER = {
    (SMALL, "10 Gbit/s Ethernet"): ((4.9, 8.3, 17.9), 5.6, (14, 39, 72), (5, 9, 9)),
    (SMALL, "25 Gbit/s Ethernet"): ((2.3, 4.7, 12.4), 2.6, (26, 58, 85), (6, 17, 20)),
    (SMALL, "100 Gbit/s RDMA"): ((0.8, 1.2, 2.4), 0.9, (50, 80, 94), (7, 32, 51)),
    (LARGE, "25 Gbit/s Ethernet"): ((24.8, 30.1, 38.1), 28.2, (28, 61, 86), (6, 18, 22)),
    (LARGE, "100 Gbit/s RDMA"): ((9.0, 10.5, 11.7), 10.3, (51, 81, 94), (7, 33, 53)),
}


@pytest.mark.parametrize("case", PAPER, ids=str)
def test_the_numbers_of_the_study_come_out_again(case):
    work, name = case
    link = LINKS[name]
    rings, halving, efficiencies, speed_ups = PAPER[case]
    assert [1e3 * model.ring(w, work.bytes, link) for w in (8, 64, 256)] == pytest.approx(rings, rel=0.02, abs=0.06)
    assert 1e3 * model.halving(256, work.bytes, link) == pytest.approx(halving, rel=0.02, abs=0.06)
    found = [100 * model.efficiency(64, rows, work, link) for rows in (256, 1024, 4096)]
    assert found == pytest.approx(efficiencies, abs=1.5)
    found = [model.speed_up(w, 16_384, work, link) for w in (8, 64, 256)]
    assert found == pytest.approx(speed_ups, rel=0.04, abs=0.6)


@pytest.mark.parametrize(("name", "rows"), [(name, rows) for name, rows in zip(LINKS, (6300, 2800, 1000), strict=True)])
def test_the_rows_of_the_study_come_out_again(name, rows):
    assert model.rows_for_efficiency(64, SMALL, LINKS[name]) == pytest.approx(rows, rel=0.05)


def table():
    """Return the table of docs/scale.md."""
    heads = ["link", "machines", "sum, ms", "efficiency with 256, 1,024, 4,096 rows on each"]
    heads += ["rows on each from which twice as many pay", "rows on each for 80 %", "times as fast, batch of 16,384"]
    yield f"| {' | '.join(heads)} |"
    yield f"| --- |{' ---: |' * (len(heads) - 1)}"
    for name, link in LINKS.items():
        of_link = f"{name}: {1e6 * link.latency:.0f} us, {link.bandwidth / 1e9:g} GB/s"
        for machines in (2, 8, 64, 256):
            shares = [f"{model.efficiency(machines, rows, SMALL, link):.0%}" for rows in (256, 1024, 4096)]
            cells = [of_link, f"{machines}", f"{1e3 * model.all_reduce(machines, SMALL.bytes, link):.2f}"]
            cells += [", ".join(shares), f"{model.rows_to_gain(machines, SMALL, link, 2 * machines):,.0f}"]
            cells += [f"{model.rows_for_efficiency(machines, SMALL, link):,.0f}"]
            cells += [f"{model.speed_up(machines, 16_384, SMALL, link):.1f}"]
            yield f"| {' | '.join(cells)} |"
            of_link = ""


def test_the_table_of_the_document_is_what_the_formulas_say():
    assert "\n".join(table()) in DOCUMENT.read_text(encoding="utf-8")
    shares = {
        abs(model.efficiency(w, rows, SMALL, link) - model.efficiency(w, rows, LARGE, link))
        for link in LINKS.values()
        for w in (2, 8, 64, 256)
        for rows in (256, 1024, 4096)
    }
    assert max(shares) < 0.03
