"""Plans: words, the reader of partitioned programs, times, and a plan of a small model."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from experiments import plan_page
from experiments.plan import lines_of
from seqmodels.config.errors import UserError
from seqmodels.config.files import load_config
from seqmodels.config.training import Dtype, MatmulPrecision, TrainingConfig
from seqmodels.planning.advice import advise
from seqmodels.planning.devices import DEVICES, parse_mesh
from seqmodels.planning.memory import STEP, Part
from seqmodels.planning.partitioned import Collective, read_program
from seqmodels.planning.plan import reduced, seconds_of
from tests.devices import run_on_devices

PROGRAM = """HloModule jit_step, is_scheduled=false

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%goes_on (state: (s32[], f32[6,8])) -> pred[] {
  %state = (s32[], f32[6,8]{1,0}) parameter(0)
  %n = s32[] get-tuple-element(%state), index=0
  %five = s32[] constant(5)
  ROOT %less = pred[] compare(%n, %five), direction=LT
}

%round (state: (s32[], f32[6,8])) -> (s32[], f32[6,8]) {
  %state = (s32[], f32[6,8]{1,0}) parameter(0)
  %n = s32[] get-tuple-element(%state), index=0
  %w = bf16[2,8]{1,0} constant({...})
  %whole = bf16[8,8]{1,0} all-gather(%w), replica_groups=[2,4]<=[8], dimensions={0}
  %x = f32[6,8]{1,0} get-tuple-element(%state), index=1
  %y = f32[6,8]{1,0} dot(%state#1, %whole), lhs_contracting_dims={1}, rhs_contracting_dims={0}
  ROOT %next = (s32[], f32[6,8]{1,0}) tuple(%n, %y)
}

ENTRY %main (a: f32[6,8], k: f32[3,8,16]) -> f32[2,8] {
  %a = f32[6,8]{1,0} parameter(0)
  %k = f32[3,8,16]{2,1,0} parameter(1)
  %zero = s32[] constant(0)
  %start = (s32[], f32[6,8]{1,0}) tuple(%zero, %a)
  %loop = (s32[], f32[6,8]{1,0}) while(%start), condition=%goes_on, body=%round
  %b = f32[6,8]{1,0} get-tuple-element(%loop), index=1
  %all = f32[6,8]{1,0} all-reduce(%b), replica_groups={{0,3},{1,4},{2,5}}, to_apply=%add
  %half = f32[6,8]{0,1} convert(%all)
  %part = f32[3,8]{1,0} dynamic-slice(%half, %zero, %zero), dynamic_slice_sizes={3,8}
  %wide = f32[1,6,16]{2,1,0} convolution(%a, %k), window={size=3}, dim_labels=b0f_0io->b0f
  %kept = f32[6,8]{1,0} all-reduce(%b), replica_groups=[4,2]<=[2,2,2]T(1,2,0), to_apply=%add
  %one = f32[6,8]{1,0} all-reduce(%b), replica_groups={{0},{1}}, to_apply=%add
  %use = f32[6,8]{1,0} negate(%kept)
  %a2 = f32[6,8]{1,0} all-to-all(%b), replica_groups=mesh['p'=2,'q'=4] {'p'}, dimensions={0}
  ROOT %end = f32[6,8]{1,0} collective-permute(%use), source_target_pairs={{0,4},{4,0}}
}
"""


def test_a_partitioned_program_is_read() -> None:
    found = read_program(PROGRAM)
    # Five rounds of a product of 6 x 8 by 8 x 8; three taps of 8 inputs at 6 x 16 outputs.
    assert found.flops == 5 * 2 * 6 * 8 * 8 + 2 * 6 * 16 * 3 * 8
    assert found.uncounted == 0
    assert found.collectives == (
        Collective("all-gather", 8 * 8 * 2, (0, 1, 2, 3), 5),
        Collective("reduce-scatter", 6 * 8 * 4, (0, 3), 1),
        Collective("all-reduce", 6 * 8 * 4, (0, 4), 1),
        Collective("all-to-all", 6 * 8 * 4, (0, 4), 1),
        Collective("collective-permute", 6 * 8 * 4, (0, 4), 1),
    )
    assert [one.sent for one in found.collectives] == [96, 96, 192, 96, 192]
    unknown = read_program(PROGRAM.replace("direction=LT", "direction=NE"))
    assert unknown.uncounted == 1
    assert unknown.collectives[0].times == 1


@pytest.mark.parametrize(
    ("groups", "members"),
    [
        ("{{0,3},{1,4},{2,5}}", (0, 3)),
        ("[2,4]<=[8]", (0, 1, 2, 3)),
        ("[4,2]<=[2,2,2]T(1,2,0)", (0, 4)),
        ("mesh['p'=2,'q'=4] {'p'}", (0, 4)),
        ("mesh['p'=2,'q'=4] {'p','q'}", tuple(range(8))),
        ("mesh['p'=1,'q'=4,'r'=2], device_ids=([2,4]T(1,0)) {'q'}", (0, 1, 2, 3)),
        ("mesh['p'=1,'q'=4,'r'=2], device_ids=([2,4]T(1,0)) {'r'}", (0, 4)),
        ("mesh['p'=8] {'p':(2)2}", (0, 2)),
    ],
)
def test_the_devices_of_a_collective(groups: str, members: tuple[int, ...]) -> None:
    lists = "replica_groups=[2,4]<=[8]"
    found = read_program(PROGRAM.replace(lists, f"replica_groups={groups}")).collectives[0]
    assert found.members == members


def test_unknown_groups_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="not understood"):
        read_program(PROGRAM.replace("replica_groups=[2,4]<=[8]", "replica_groups=new"))


def test_the_time_of_a_collective_follows_from_its_links() -> None:
    device = dataclasses.replace(DEVICES["h100"], link=100.0, network=10.0)
    within = Collective("all-gather", 800, tuple(range(8)), 3)
    assert seconds_of(within, device) == pytest.approx(3 * 800 * 7 / 8 / 100)
    across = Collective("all-gather", 800, tuple(range(16)), 1)
    assert seconds_of(across, device) == pytest.approx(800 * 7 / 8 / 100 + 800 / 2 / (8 * 10))
    apart = Collective("all-reduce", 800, (0, 8), 1)
    assert seconds_of(apart, device) == pytest.approx(2 * 800 / 2 / 10)
    assert seconds_of(Collective("collective-permute", 800, (7, 8), 1), device) == 80


def test_the_words_of_a_mesh() -> None:
    assert parse_mesh("fsdp:32, data:8") == {**parse_mesh("data:8"), "fsdp": 32}
    for text, problem in {
        "fdsp:2": "'fdsp' is not an axis of the mesh; did you mean 'fsdp'?",
        "data": "'data' must be data:N with N at least 1",
        "data:0": "'data:0' must be data:N",
        "data:2,data:4": "data is given twice",
        "": "'' is not an axis of the mesh; one of: data, fsdp, sequence, tensor",
    }.items():
        with pytest.raises(UserError, match=problem.replace("?", r"\?")):
            parse_mesh(text)


def test_the_peak_is_that_of_the_products() -> None:
    low, exact = TrainingConfig(dtype=Dtype.BFLOAT16), MatmulPrecision.FLOAT32
    gpu, tpu = DEVICES["h100"], DEVICES["v5p"]
    assert gpu.peak(low) == 2 * gpu.peak(TrainingConfig()) == gpu.bfloat16
    assert gpu.peak(TrainingConfig(matmul_precision=exact)) == gpu.float32
    assert tpu.peak(TrainingConfig()) == tpu.bfloat16
    assert tpu.peak(TrainingConfig(matmul_precision=exact)) == tpu.bfloat16 / 6


def test_more_devices_than_can_be_simulated_are_fewer_along_data() -> None:
    config = load_config("gpt:llama2_7b")
    config.training.mesh_data, config.training.mesh_fsdp, config.data.batch_size = 64, 64, 4096
    less, factor = reduced(config)
    assert (factor, less.training.mesh_data, less.training.mesh_fsdp) == (2, 32, 64)
    assert less.data.batch_size == 2048
    config.training.mesh_data, config.training.mesh_fsdp = 1, 4096
    with pytest.raises(UserError, match="at most 2048 are simulated"):
        reduced(config)


def test_advice_names_fields_that_make_the_run_fit() -> None:
    config = load_config("gpt:gpt2_124m")
    config.training.accumulation_steps, config.training.mesh_data = 1, 8
    parts = [Part("parameters", None, 10, 10), Part("optimizer", None, 20, 20)]
    step = Part(STEP, None, 410, 410)
    assert advise(config, [*parts, step], 8, 500) == []
    lines = advise(config, [*parts, step], 8, 150)
    # 50 of state, gradients and their sum, and 400 / 4 of activations
    assert "training.accumulation_steps=4 needs about 0.0 GB" in lines
    assert any(line.startswith("model.remat=true") for line in lines)
    lines = advise(config, parts, 8, 20)
    assert lines[0].startswith("the state with its batch needs")
    assert lines[1].startswith("mesh fsdp:2 with data:4")


@pytest.fixture(scope="module")
def planned() -> dict[str, Any]:
    words = ("--config=demo_gpt", "--mesh=fsdp:4,tensor:2", "--device=v5e", "--json")
    return run_on_devices("launch", "plan", *words, "--vocab_size=104")[0]


def test_a_plan_counts_what_a_device_holds_and_does(planned: dict[str, Any]) -> None:
    assert planned["mesh"] == {**planned["mesh"], "data": 1, "fsdp": 4, "tensor": 2}
    assert planned["targets"] == planned["batch_size"] * 512
    memory, parameters = planned["memory"], 4 * planned["parameters"]
    assert parameters / 8 <= memory["parameters"] < 1.1 * parameters / 8
    assert 2 * memory["parameters"] <= memory["optimizer"] <= 2 * memory["parameters"] + 16
    assert planned["memory_total"] == sum(memory.values())
    assert 1 <= planned["flops"] / planned["model_flops"] < 1.2
    assert set(planned["collectives"]) >= {"all-gather", "reduce-scatter", "all-reduce"}
    state = parameters + 2 * parameters
    assert state <= planned["checkpoint"]["bytes"] <= state + 100


def test_no_gather_of_a_plan_is_as_large_as_the_model(planned: dict[str, Any]) -> None:
    assert planned["largest_gather"] < planned["parameters"]


def test_a_plan_is_printed(planned: dict[str, Any]) -> None:
    text = "\n".join(lines_of(planned))
    assert text.startswith("8 x v5e (fsdp 4 x tensor 2)")
    assert "fits into 16 GB" in text


def test_the_page_has_the_plans_of_its_result() -> None:
    page = plan_page.PAGE.read_text(encoding="utf-8")
    result = json.loads(plan_page.RESULT.read_text(encoding="utf-8"))
    assert plan_page.with_plans(page, result) == page
    shown = set(re.findall(r"<!-- plan (\w+) -->", page)) - {"machine", "measured"}
    measured = {f"here_{name}" for name in plan_page.MEASURED}
    assert shown | measured == plan_page.WORDS.keys() == result["plans"].keys()
    words = {name: one["words"] for name, one in result["plans"].items()}
    assert words == plan_page.WORDS


@pytest.mark.grid
def test_parameters_are_gathered_in_the_dtype_of_the_products(planned: dict[str, Any]) -> None:
    words = ("--config=demo_gpt", "--mesh=fsdp:4,tensor:2", "--json", "--vocab_size=104")
    words += ("--config.training.dtype=bfloat16",)
    found = run_on_devices("launch", "plan", *words)[0]["collectives"]
    share = found["all-gather"]["bytes"] / planned["collectives"]["all-gather"]["bytes"]
    assert 0.5 <= share < 0.7  # embeddings and norms are gathered in float32
