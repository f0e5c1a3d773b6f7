"""Program that test_finetuning.py runs in a process with 4 CPU devices; prints a line of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from seqmodels.config.features import TokenizerKind
from seqmodels.distributed.mesh import mesh_context
from seqmodels.runs.paths import flat
from seqmodels.runs.run import load_run
from seqmodels.training.feed import Feed
from seqmodels.training.initialize_from import find_starting_point
from tests.opening import load, set_up
from tests.training.finetuning import GPT, make_config

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    config = make_config(
        folder,
        "first",
        GPT,
        data__tokenizer=TokenizerKind.BYTE,
        training__mesh_data=1,
        training__mesh_fsdp=4,
        training__init_from=str(folder / "gpt-bytes"),
        optimizer__frozen="stack/blocks/feedforward",
        optimizer__lr_scales="embedding=0.5",
    )
    data = load(config)
    setup = set_up(config, data.spec, carries_state=False)
    source = find_starting_point(config, None, setup.abstract.params, data.features)
    assert source is not None
    taken = source.load(setup.abstract.params)
    sharded = not flat(taken)["embedding/table"].sharding.is_fully_replicated
    state = setup.create_state(0, taken)
    run = flat(load_run(folder / "gpt-bytes").params)
    start = {path: np.asarray(x) for path, x in flat(state.params).items()}
    equal = sum((start[path] == x).all() for path, x in run.items())
    assert equal == len(start)
    with mesh_context(setup.mesh):
        state, _ = setup.call(state, Feed(data.batches(config), setup.mesh, 1)(1))
    params = flat(state.params)
    frozen = {path for path in params if setup.parts.is_frozen(path)}
    mu = flat(state.opt_state.inner_states["trained"].inner_state[1].mu)
    assert mu.keys() == params.keys() - frozen
    found = {
        "equal": int(equal),
        "alike": all(
            params[p].sharding.is_equivalent_to(m.sharding, m.ndim) for p, m in mu.items()
        ),
        "sharded": sharded,
        "frozen": all((np.asarray(params[path]) == start[path]).all() for path in frozen),
        "moved": all((np.asarray(params[path]) != start[path]).any() for path in mu),
    }
    print(json.dumps(found))
