"""Plans follow from measured rates alone, by hand-computed values."""

import json
import math
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIZES = (10_000, 100_000, 1_000_000)


@pytest.fixture
def scale_plan(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scale_plan

    yield scale_plan
    sys.modules.pop("scale_plan", None)


def rows(scale_plan, sizes=SIZES, fixed=2.0, slope=1e-3):
    """Every stage takes ``fixed + slope * effort`` seconds, 50 MB and 20 bytes a document."""
    return [
        {
            "stage": stage,
            "documents": size,
            "processor_seconds": fixed + slope * effort(size),
            "anonymous_mb": 50 + 20 * size / 2**20,
            "disk_mb": 20 * size / 2**20,
        }
        for stage, effort in scale_plan.EFFORTS.items()
        for size in sizes
    ]


def steps(scale_plan, workload, machine, **prices):
    measured = scale_plan.Measurements(rows(scale_plan))
    prices = {"gpu_price": 3.0, "core_price": 0.5, **prices}
    return {step.stage: step for step in scale_plan.plan(workload, machine, measured, **prices)}


def test_a_curve_goes_through_its_points_and_on(scale_plan):
    curve = scale_plan.Curve.through((100, 7.0), (400, 22.0), scale_plan.each)
    assert (curve.fixed, curve.slope) == pytest.approx((2.0, 0.05))
    assert curve(1000) == pytest.approx(52.0)
    root = scale_plan.Curve.through((100, 10.0), (400, 20.0), math.sqrt)
    assert root(900) == pytest.approx(30.0)


def test_what_falls_with_size_is_taken_as_constant(scale_plan):
    assert scale_plan.Curve.through((100, 9.0), (400, 8.0), scale_plan.each)(10**9) == 8.0


def test_the_largest_size_is_foreseen_from_the_smaller_ones(scale_plan):
    measured = scale_plan.Measurements(rows(scale_plan))
    for stage, effort in scale_plan.EFFORTS.items():
        size, seconds, foreseen = measured.foresee(stage)
        assert size == 1_000_000
        assert seconds == 2 + 1e-3 * effort(1_000_000)
        assert foreseen == pytest.approx(seconds)
    assert scale_plan.Measurements(rows(scale_plan, SIZES[:2])).foresee("write") is None


def test_a_plan_by_hand(scale_plan):
    workload = scale_plan.Workload("x", 10_000_000, 62, 5_000, 100)
    machine = scale_plan.Machine("x", 10, 2, 64)
    found = steps(scale_plan, workload, machine)
    one_core = 2 + 1e-3 * 1e7  # 10,002 seconds
    assert found["index_bm25"].hours == pytest.approx(one_core / 3600)
    assert found["tokenise"].hours == pytest.approx(one_core / 2 / 10 / 3600)  # 62 of 124 tokens
    assert found["search_bm25"].hours == pytest.approx(one_core * 5 / 3600)  # 5,000 of 1,000
    compared = (10 * 2**20 + 1e7) * 16_384  # a million vectors make 16,384 cells
    assert found["index_faiss"].hours == pytest.approx((2 + 1e-3 * compared) / 10 / 3600)
    assert found["encode (MiniLM-L6)"].hours == pytest.approx(1e7 * 62 / 73 / 25_000 / 2 / 3600)
    assert found["encode (MiniLM-L6)"].disk_gb == pytest.approx(1e7 * 384 * 2 / 1e9)
    assert found["re-rank (BERT-base)"].hours == pytest.approx(5e5 * 62 / 73 / 13_950 / 2 / 3600)
    assert found["index_bm25"].memory_gb == pytest.approx((50 + 20 * 1e7 / 2**20) / 1024)
    assert found["index_bm25"].disk_gb == pytest.approx(0.2)
    assert found["index_bm25"].dollars == pytest.approx(one_core / 3600 * (2 * 3 + 10 * 0.5))


def test_memory_for_cells_grows_with_the_sample_that_they_are_found_in(scale_plan):
    assert scale_plan.count_held(100_000) == 100_000
    assert scale_plan.count_held(10_000_000) == 2**20
    assert scale_plan.count_held(10**9) == 39 * 131_072  # as many for each cell as faiss asks for
    one, two = (
        steps(scale_plan, scale_plan.Workload("x", size, 62, 1, 1), scale_plan.MACHINES[0])
        for size in (4_000_000, 10_000_000)
    )
    assert one["index_faiss"].memory_gb == two["index_faiss"].memory_gb
    assert one["index_bm25"].memory_gb < two["index_bm25"].memory_gb


def test_twice_the_gpus_take_half_the_time_and_cost_twice_as_much_an_hour(scale_plan):
    workload = scale_plan.WORKLOADS[0]
    one = steps(scale_plan, workload, scale_plan.Machine("x", 1, 1, 1), core_price=0.0)
    two = steps(scale_plan, workload, scale_plan.Machine("x", 1, 2, 1), core_price=0.0)
    for stage in ("encode (MiniLM-L6)", "re-rank (MiniLM-L6)"):
        assert two[stage].hours == pytest.approx(one[stage].hours / 2)
        assert two[stage].dollars == pytest.approx(one[stage].dollars)


def test_a_table_ends_with_what_all_takes(scale_plan):
    workload, machine = scale_plan.WORKLOADS[0], scale_plan.MACHINES[0]
    own = [scale_plan.Step("a", 1.5, 3, 10, 2), scale_plan.Step("b", 2.0, 7, 20, 5)]
    lines = scale_plan.say_plan(workload, machine, own)
    assert "6,980 queries × 1,000" in lines[0]
    assert lines[-2] == "| in all | 3.5 h | 7.0 | 30.0 | $7.00 |"
    assert lines[-4:-2] == [
        "| a | 90 min | 3.0 | 10.0 | $2.00 |",
        "| b | 2.0 h | 7.0 | 20.0 | $5.00 |",
    ]


def test_rows_are_read_from_where_the_benchmark_left_them(
    scale_plan, tmp_path, monkeypatch, capsys
):
    for row in rows(scale_plan, SIZES[:2]):
        path = tmp_path / str(row["documents"]) / f"{row['stage']}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(row))
    monkeypatch.setattr("sys.argv", ["scale_plan.py", "--folder", str(tmp_path)])
    scale_plan.main()
    printed = capsys.readouterr().out
    assert printed.count("| in all |") == len(scale_plan.WORKLOADS) * len(scale_plan.MACHINES)
    (tmp_path / "10000" / "tokenise.json").unlink()
    with pytest.raises(SystemExit, match="tokenise: measure two sizes first"):
        scale_plan.main()
