"""Pictures and numbers of the stops of `docs/tour.md`, from the runs of `experiments.tour`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.tour_stops import DIGITS, NUMBER, ORDERS, PASSAGE
from seqmodels.files import read_json
from seqmodels.runs.rows import METRICS, read_rows

Found = tuple[Any, dict[str, Any]]
"""A figure of matplotlib, and numbers by name."""


def counting(root: Path) -> Found:
    """Loss and share of unseen n-grams of the validation split, by order."""
    from seqmodels.look.figures import new_figure

    losses = [last_loss(root / f"ngram{n}") for n in ORDERS]
    unseen = unseen_shares(root / f"ngram{ORDERS[0]}", ORDERS)
    figure = new_figure(7, 4)
    left = figure.add_subplot()
    left.plot(ORDERS, losses, color="C0", marker="o")
    left.set(xlabel="order n: characters counted together", xticks=ORDERS)
    left.set_ylabel("validation loss (nats per character)", color="C0")
    right = left.twinx()
    right.plot(ORDERS, [100 * share for share in unseen], color="C1", marker="s")
    right.set_ylabel("n-grams that training never saw (%)", color="C1")
    left.set_title("n-grams: better with order, until the counts run out", fontsize=10)
    left.grid(alpha=0.3)
    numbers = {f"loss{n}": loss for n, loss in zip(ORDERS, losses, strict=True)}
    return figure, numbers | {f"unseen{n}": s for n, s in zip(ORDERS, unseen, strict=True)}


def unseen_shares(workdir: Path, orders: Sequence[int]) -> list[float]:
    """Share of the n-grams of the validation split that the training split has not, by order."""
    from seqmodels.runs.opening import read_config
    from seqmodels.runs.run import open_data
    from seqmodels.tasks.build import build_task

    config = read_config(workdir)
    data = open_data(workdir, config, build_task(config))
    base = data.description()["vocab_size"]
    texts = [np.asarray(data.splits[s].tokens, np.uint64) for s in ("train", "validation")]
    shares = []
    for n in orders:
        assert base**n < 2**64
        known, asked = (_ngrams(text, n, base) for text in texts)
        shares.append(float(1 - np.isin(asked, np.unique(known)).mean()))
    return shares


def _ngrams(tokens: np.ndarray, n: int, base: int) -> np.ndarray:
    """A number for each n-gram, equal where they are."""
    size = len(tokens) - n + 1
    return sum(tokens[k : k + size] * np.uint64(base**k) for k in range(n))  # type: ignore


def vanishing(root: Path) -> Found:
    """Gradient of the tanh network by distance, as trained and as initialised."""
    from seqmodels.look.figures import new_figure

    norms = {title: gradients(root / "rnn", title) for title in ("trained", "untrained")}
    figure = new_figure(7, 4)
    _add_norms(figure.add_subplot(), {f"tanh RNN, {title}": n for title, n in norms.items()})
    loss = last_loss(root / "rnn")
    return figure, {"loss": loss, **{f"{t}_factor": factor(n) for t, n in norms.items()}}


def gates(root: Path) -> Found:
    """The LSTM's forget gate over a text, and its gradient next to the tanh network's."""
    from seqmodels.look.figures import plain_figure, write_ticks

    found = looked(root / "lstm")
    gate = values(root / "lstm", found["recurrence"]["cells.0"]["forget_gate"])
    norms = {"tanh RNN": gradients(root / "rnn", "trained")}
    norms["LSTM"] = gradients(root / "lstm", "trained")
    figure = plain_figure(11, 6.4, right=0.2)
    upper, lower = figure.subplots(2, 1, gridspec_kw={"hspace": 0.35})
    shown = min(len(gate), 70)
    order = np.argsort(gate.mean(axis=0))
    image = upper.imshow(gate[:shown].T[order], vmin=0, vmax=1, aspect="auto", cmap="viridis")
    write_ticks(upper.xaxis, list(PASSAGE[:shown]))
    upper.set(yticks=[], ylabel=f"{gate.shape[1]} units")
    upper.set_title("forget gate of the trained LSTM: 1 keeps, 0 forgets", fontsize=10)
    figure.colorbar(image, ax=upper, label="gate", pad=0.01)
    _add_norms(lower, norms)
    figure.colorbar(image, ax=lower, pad=0.01).ax.set_visible(False)
    numbers: dict[str, Any] = {"open": float((gate > 0.9).mean())}
    for name, norm in zip(("rnn", "lstm"), norms.values(), strict=True):
        numbers |= {f"{name}_factor": factor(norm), f"{name}_left": float(norm[50] / norm[0])}
    return figure, {"loss": last_loss(root / "lstm"), **numbers}


def bottleneck(root: Path) -> Found:
    """Exactly right outputs by length of the source, of one fixed vector."""
    from seqmodels.look.figures import new_figure

    figure = new_figure(7, 3.2)
    return figure, _add_lengths(figure.add_subplot(), root, {"fixed": _FIXED})


def alignment(root: Path) -> Found:
    """The map of a translation, and exactly right outputs by length, with the fixed vector's."""
    from seqmodels.look.figures import plain_figure, write_ticks

    found = looked(root / "bahdanau")
    weights = values(root / "bahdanau", found["attention"]["alignment.pattern"]["pattern"])[0]
    figure = plain_figure(11, 5.6, right=0.2)
    upper, lower = figure.subplots(2, 1, gridspec_kw={"hspace": 0.5})
    image = upper.imshow(weights, vmin=0, vmax=1, aspect="auto", cmap="viridis")
    write_ticks(upper.xaxis, list(NUMBER))
    write_ticks(upper.yaxis, [*DIGITS, "end"])
    upper.set(ylabel="written next", xlabel="source, read character by character")
    upper.set_title("where the decoder looks before it writes", fontsize=10)
    figure.colorbar(image, ax=upper, label="weight", pad=0.01)
    numbers = _add_lengths(lower, root, {"fixed": _FIXED, "bahdanau": "alignment"})
    places = zip(DIGITS, weights.argmax(axis=1).tolist(), strict=False)
    numbers["words"] = ", ".join(f"{digit} at {word_at(place)}" for digit, place in places)
    figure.colorbar(image, ax=lower, pad=0.01).ax.set_visible(False)
    return figure, numbers


_FIXED = "one vector for the whole source"


def _add_lengths(axes: Any, root: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """Draws the share of exactly right outputs by length; returns numbers of each run."""
    for name, title in names.items():
        parts = newest(root / name)["by_source_length"]
        middles = [(part["shortest"] + part["longest"]) / 2 for part in parts]
        axes.plot(middles, [part["exact_match"] for part in parts], marker="o", label=title)
    axes.set(ylim=(0, 1.03), ylabel="exactly right (share)")
    axes.set_xlabel("characters of the source (middle of each part)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return _right(root, names)


def _right(root: Path, names: Iterable[str]) -> dict[str, Any]:
    """Shares of exactly right outputs of all sources, and of the shortest and longest quarter."""
    numbers: dict[str, Any] = {}
    for name in names:
        result = newest(root / name)
        parts = result["by_source_length"]
        numbers |= {f"{name}_all": result["exact_match"]}
        numbers |= {f"{name}_short": parts[0]["exact_match"], "short": parts[0]["longest"]}
        numbers |= {f"{name}_long": parts[-1]["exact_match"], "long": parts[-1]["shortest"]}
    return numbers


def self_attention(root: Path) -> Found:
    """The heads of the encoder's first layer."""
    from seqmodels.look.figures import draw_heads

    found = looked(root / "transformer")
    name = "encoder.blocks.0.attention.pattern"
    weights = values(root / "transformer", found["attention"][name]["pattern"])
    labels = list(NUMBER)
    title = "self-attention of the encoder's first layer"
    figure = draw_heads(weights, labels, labels, f"{title}, cut at {_CUT}", _CUT)
    steps = np.arange(len(labels))
    far = np.abs(steps[:, None] - steps)
    most = weights.mean(axis=1)  # of each head and key
    heads, keys = np.unravel_index(np.argsort(-most, axis=None)[:3], most.shape)
    numbers = _right(root, ("bahdanau", "transformer"))
    numbers["distance"] = float((weights * far).sum(axis=-1).mean())
    drawn = zip(keys.tolist(), heads.tolist(), strict=True)
    numbers["drawn"] = ", ".join(f"the {NUMBER[k]} of {word_at(k)} (head {h})" for k, h in drawn)
    return figure, numbers


_CUT = 0.3
"""Weight of the brightest colour."""


def word_at(place: int) -> str:
    """The word of the number at a character."""
    start = max(NUMBER.rfind(" ", 0, place), NUMBER.rfind("-", 0, place)) + 1
    return re.split("[ -]", NUMBER[start:])[0] or NUMBER[start]


def equal_compute(root: Path) -> Found:
    """Validation loss over operations of training, of the LSTM and the GPT."""
    from seqmodels.look.figures import new_figure

    figure = new_figure(7, 4)
    return figure, _add_losses(figure.add_subplot(), root, {"lstm": "LSTM", "gpt": "GPT"})


def constant_memory(root: Path) -> Found:
    """The same with Aaren; and bytes of the state by length of the text."""
    from seqmodels.look.figures import new_figure

    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    numbers = _add_losses(left, root, {"lstm": "LSTM", "gpt": "GPT", "aaren": "Aaren"})
    found = read_json(root / "token_times" / "token_times.json")
    for name, one in found["models"].items():
        right.plot(found["lengths"], np.array(one["state_bytes"]) / 1e6, marker=".", label=name)
    right.set(xlabel="characters of the text", ylabel="state that decoding keeps (MB)")
    right.set(xscale="log", yscale="log")
    right.legend(fontsize=8)
    right.grid(alpha=0.3)
    sizes = found["models"]["GPT with its cache"]["state_bytes"]
    return figure, numbers | {"cache_growth": sizes[-1] / sizes[0]}


def _add_losses(axes: Any, root: Path, names: Mapping[str, str]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for name, title in names.items():
        each = operations(root / name)
        rows = evaluations(root / name)
        work = [each * row["step"] / 1e12 for row in rows]
        axes.plot(work, [row["loss"] for row in rows], marker="o", label=title)
        numbers |= {name: rows[-1]["loss"], f"{name}_work": work[-1]}
    counted = last_loss(root / f"ngram{ORDERS[-2]}")
    axes.axhline(counted, color="gray", linestyle="--", label=f"{ORDERS[-2]}-gram, counted")
    axes.set(xlabel="operations of training (10^12)")
    axes.set(ylabel="validation loss (nats per character)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return numbers | {"ngram": counted, "orders": ORDERS[-2]}


def fine_tuning(root: Path) -> Found:
    """Validation loss over the steps on a small text, from nothing and from another run."""
    from seqmodels.look.figures import draw_lines

    names = {"from_nothing": "from nothing", "fine_tuned": "from the GPT of the last stop"}
    curves, numbers = {}, {}
    for name, title in names.items():
        rows = evaluations(root / name)
        curves[title] = ([row["step"] for row in rows], [row["loss"] for row in rows])
        numbers |= {f"{name}_first": rows[0]["loss"], name: rows[-1]["loss"]}
        numbers["first"] = rows[0]["step"]
    label = "validation loss (nats per character)"
    return draw_lines(curves, "steps on the small text", label, "one page of text"), numbers


def cache(root: Path) -> Found:
    """Time of a token by length of the text before it."""
    from seqmodels.look.figures import draw_lines

    found = read_json(root / "token_times" / "token_times.json")
    lengths, models = np.array(found["lengths"]), found["models"]
    curves = {name: (lengths, np.array(one["times"])) for name, one in models.items()}
    label = "time of a token (LSTM after the shortest text = 1)"
    figure = draw_lines(curves, "tokens before it", label, "one row, greedy", yscale="log")
    figure.axes[0].set_xscale("log", base=2)
    times = models["GPT with its cache"]["times"]
    numbers = {"growth": times[-1] / times[0], "longest": int(lengths[-1])}
    flat = models["LSTM"]["times"]
    return figure, numbers | {"shortest": int(lengths[0]), "flat": flat[-1] / flat[0]}


PICTURES: dict[str, Callable[[Path], Found]] = {
    one.__name__: one
    for one in (
        *(counting, vanishing, gates, bottleneck, alignment),
        *(self_attention, equal_compute, fine_tuning, cache, constant_memory),
    )
}
"""By name of the stop."""


def _add_norms(axes: Any, norms: Mapping[str, np.ndarray]) -> None:
    for name, norm in norms.items():
        axes.plot(np.maximum(norm, 1e-30), label=name)
    axes.set(xlabel="distance (characters)", ylabel="norm of the gradient", yscale="log")
    axes.set_title("gradient of the last character's loss, by earlier characters", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def looked(workdir: Path) -> dict[str, Any]:
    """The numbers that `look` found in a run."""
    return read_json(workdir / "looked" / "look.json")


def gradients(workdir: Path, title: str) -> np.ndarray:
    """Norms by distance that `look` found in the only layer of a run."""
    (norm,) = looked(workdir)["gradient_flow"][title].values()
    return values(workdir, norm)


def factor(norm: np.ndarray) -> float | None:
    """By which the gradient shrinks per step."""
    from seqmodels.look.gradients import decay_rate

    return decay_rate(norm)


def values(workdir: Path, found: Any) -> np.ndarray:
    """An array of look.json, or of look.npz where it is large."""
    if isinstance(found, dict):
        with np.load(workdir / "looked" / "look.npz") as arrays:
            return arrays[found["npz"]]
    return np.array(found)


def evaluations(workdir: Path) -> list[dict[str, Any]]:
    """The rows of the validation split."""
    return [row for row in read_rows(workdir / METRICS) if row["split"] == "validation"]


def last_loss(workdir: Path) -> float:
    """The loss of the last evaluation of the validation split."""
    return evaluations(workdir)[-1]["loss"]


def newest(workdir: Path) -> dict[str, Any]:
    """The newest result on the test split."""
    files = sorted((workdir / "evaluations").glob("test-*.json"), key=lambda p: p.stat().st_mtime)
    return read_json(files[-1])


def operations(workdir: Path) -> int:
    """Operations that the equations of a training step need; see `benchmark.flops`."""
    import jax

    from seqmodels.benchmark.training import Work, needed_flops
    from seqmodels.data.pipeline import read_features
    from seqmodels.runs.opening import read_config
    from seqmodels.tasks.build import build_task
    from seqmodels.training.setup import set_up
    from seqmodels.types import Batch

    config = read_config(workdir)
    task = build_task(config)
    spec = task.make_spec(read_features(config, workdir))

    def batch(_: int, length: int) -> Batch:
        of = lambda dtype: jax.ShapeDtypeStruct((config.data.batch_size, length), dtype)
        return Batch(of(np.int32), of(np.int32), of(np.float32))  # type: ignore[arg-type]

    setup = set_up(config, task, spec, carries_state=False)
    return needed_flops(Work(config, spec, batch), setup, config.data.lengths()["sequence_length"])
