"""The stops of `docs/tour.md`: their commands, and what the page says of them."""

from __future__ import annotations

import dataclasses

ORDERS = (1, 2, 3, 4, 6, 9)
"""Orders of the n-grams that are counted."""
PASSAGE = (
    "The value of the parameter is evaluated when the function is called, and the name "
    "is bound in the local namespace of the class."
)
NUMBER = "seven hundred and thirty-one thousand eight hundred and forty-two"
DIGITS = "731842"
_SHORT = "--config.training.evaluate_every=100 --config.training.checkpoint_every=100"
_CELLS = f"--config.model.model_dim=64 --config.model.hidden_dim=128 {_SHORT}"
_ATTENDS = "--config.model.num_layers=2 --config.model.model_dim=96 --config.model.mlp_dim=384"
_GPT = f"--config=demo_gpt {_ATTENDS} --config.model.max_length=128"
_WINDOW = (
    "--config.data.sequence_length=128 --config.data.batch_size=16 "
    "--config.evaluation.sequence_length=128"
)
_PAGES = (
    "--config.data.name=text_file --config.data.path=docs/design.md "
    "--config.data.tokenizer=run --config.data.tokenizer_path={root}/gpt "
    "--config.training.num_steps=100 --config.training.evaluate_every=20 "
    "--config.training.checkpoint_every=20"
)


@dataclasses.dataclass(frozen=True)
class Stop:
    """One stop of the tour.

    Attributes:
      name: of its picture and of `--only`.
      title: its heading.
      commands: lines for a shell, with `{root}` for the folder of the work directories.
      text: what one does and why; `{name}` is a number that the pictures give.
      seen: what the picture shows, and why the next idea came.
      alt: words for the picture.
      needs: stops whose runs it reads.
    """

    name: str
    title: str
    commands: tuple[str, ...]
    text: str
    seen: str
    alt: str
    needs: tuple[str, ...] = ()


def _train(words: str, name: str) -> str:
    return f"python launch.py train {words} --workdir={{root}}/{name}"


def _look(name: str, text: str, what: str, more: str = "") -> str:
    given = f'--text="{text}"{more} --what={what} --folder={{root}}/{name}/looked'
    return f"python launch.py look --workdir={{root}}/{name} {given}"


def _test(name: str) -> str:
    return f"python launch.py evaluate --workdir={{root}}/{name} --split=test"


START = """\
# A tour

The history of sequence models in ten stops, from counting to attention and back to recurrence. Each
stop is a few commands, a picture, and what one sees in it.

    make tour                                     # all of it; a finished command is not repeated
    python -m experiments.tour --only=alignment   # one stop, after those whose runs it reads

It needs no network and no data but what is built in: the language reference that is part of every
CPython, numbers written in words, and a page of this project. The models are tiny and so is their
training: {minutes:.0f} minutes of processor time in all ({processor}, two cores, {day}, jax {jax},
one seed). That command made the pictures and the numbers of this page,
which are in [tour.json](tour.json). Where a model of this size does not show what history says, the
page says so. Losses are nats per character of the validation split."""
END = """\
## From here

[looking](looking.md) has everything else that `look` shows; [results](results.md) has the same
families at sizes that take longer, among them the bottleneck on real translations;
[diagnostics](diagnostics.md) asks which of them can do what."""
STOPS = (
    Stop(
        "counting",
        "Counting",
        tuple(_train(f"--config=demo_ngram --config.model.order={n}", f"ngram{n}") for n in ORDERS),
        "The oldest language model counts which character followed the n - 1 characters before it "
        "(Markov, 1913; Shannon, 1948). These six are counted on the same text, the language "
        "reference of Python, with orders from 1 to 9; where a count is missing they fall back to "
        "shorter contexts (modified Kneser-Ney).",
        "Up to order 6 each further character of context helps a lot: from {loss1:.2f} to "
        "{loss6:.2f} nats. From 6 to 9 it hardly helps ({loss9:.2f}), because {unseen9:.0%} of the "
        "9-grams of the validation text never occurred in training. A table knows only what it has "
        "seen letter by letter, and no two of its contexts are similar. The next idea is a state "
        "that is learned, in which contexts can be similar. But at the size of this tour counting "
        "is the model to beat, and none of the networks below beats it.",
        "n-gram loss and unseen n-grams by order",
    ),
    Stop(
        "vanishing",
        "A state that is learned, and its vanishing gradient",
        (
            _train(
                f"--config=demo_lstm --config.model.cell=rnn {_CELLS} "
                "--config.training.num_steps=400",
                "rnn",
            ),
            _look("rnn", PASSAGE, "gradient_flow"),
        ),
        "A recurrent network (Elman, 1990) reads a character at a time and keeps a vector, here of "
        "128 numbers. After 400 steps of training its loss is {loss:.2f}, about that of counting 3 "
        "characters ({counting[loss3]:.2f}). `look` asks how much the loss of the last character "
        "of a sentence would change with each earlier character.",
        "As it begins, with orthogonal weights and small inputs, the network keeps the gradient "
        "over the whole sentence. Training drives the tanh units to their flat ends, and now the "
        "gradient shrinks by a factor of {trained_factor:.2f} per character: nothing can be "
        "learned any more from what stood 50 characters earlier (Hochreiter, 1991; Bengio et al., "
        "1994). So the next idea is a state that is added to, where the network before overwrites "
        "it.",
        "norm of the gradient by distance, tanh network",
    ),
    Stop(
        "gates",
        "Gates",
        (
            _train(f"--config=demo_lstm {_CELLS} --config.training.num_steps=400", "lstm"),
            _look("lstm", PASSAGE, "recurrence,gradient_flow"),
        ),
        "The LSTM (Hochreiter and Schmidhuber, 1997; with a forget gate, Gers et al., 2000) keeps "
        "a cell for each unit, from which a gate takes a share and to which another adds. The "
        "recipe is that of the stop before, with another cell.",
        "Above, most forget gates are open at nearly every character ({open:.0%} of the values are "
        "over 0.9), while the units at the top forget and keep with the letters. Below, at a "
        "distance of 50 characters the share that is left of the gradient is {lstm_left:.0e}, and "
        "{rnn_left:.0e} in the tanh network: it still vanishes, but by {lstm_factor:.2f} per "
        "character and not by {rnn_factor:.2f}. What the picture does not show is a better model: "
        "after so few steps the LSTM has a loss of {loss:.2f}, and the tanh network "
        "{vanishing[loss]:.2f}. An LSTM starts slowly; the larger one of `make demo` is trained "
        "for longer and passes both. With a state that lasts, a whole sentence can be read first "
        "and answered afterwards.",
        "forget gate over a text; gradients of RNN and LSTM",
        ("vanishing",),
    ),
    Stop(
        "bottleneck",
        "The bottleneck of one vector",
        (
            _train(
                "--config=numbers --config.model.context=fixed --config.training.num_steps=500",
                "fixed",
            ),
            _test("fixed"),
        ),
        "The first recurrent encoder-decoders (Sutskever et al., 2014; Cho et al., 2014) read a "
        "source to its end and write the answer from the last state alone. The source is a number "
        "in words, character by character, and the target its digits.",
        "Of the sources of up to {short} characters {fixed_short:.0%} are exactly right, of those "
        "from {long} on {fixed_long:.0%}: one vector of a fixed size has to hold a source of any "
        "length. After 500 steps this network is far from the end of its training, so the picture "
        "has the fall with length that Bahdanau et al. drew (2015, figure 2), but from a low "
        "start. The next idea lets the decoder look at all states of the encoder.",
        "exactly right outputs by length of the source",
    ),
    Stop(
        "alignment",
        "Looking back at the source",
        (
            _train("--config=numbers --config.training.num_steps=500", "bahdanau"),
            _test("bahdanau"),
            _look("bahdanau", NUMBER, "attention", f" --target={DIGITS}"),
        ),
        "Bahdanau et al. (2015) keep the state after every character of the source, and before "
        "each character that it writes the decoder takes a weighted average of them. Everything "
        "else is as at the stop before.",
        "Above, each row is the weight over the source before a character is written. It is "
        "largest at the word that says the digit, or next to it ({words}), and no word was marked "
        "for the network. Below, {bahdanau_short:.0%} of the short sources and {bahdanau_long:.0%} "
        "of the longest quarter are exactly right after the same 500 steps, where one vector had "
        "{fixed_short:.0%} and {fixed_long:.0%}. The longest are still the hardest, which the full "
        "1,500 steps mend ([results](results.md)). The encoder still reads character by character, "
        "and the next idea leaves that out too.",
        "alignment of a number in words with its digits",
        ("bottleneck",),
    ),
    Stop(
        "self_attention",
        "Attention without a recurrence",
        (
            _train("--config=numbers:transformer --config.training.num_steps=500", "transformer"),
            _test("transformer"),
            _look("transformer", NUMBER, "attention", f" --target={DIGITS}"),
        ),
        "If looking back works this well, is the recurrence needed at all? Vaswani et al. (2017) "
        "left it out: in each layer every position looks at all others, in several heads, and all "
        "positions are computed at the same time. The same numbers, the same number of steps.",
        "A row is a character that looks, a column one that is looked at, and the mean distance of "
        "a look is {distance:.0f} characters: all distances cost one step. Some characters draw "
        "the looks of many others: {drawn}. The heads are not tidy: after so little training none "
        "of them is named by a rule of `look`. But {transformer_all:.0%} of all sources are "
        "exactly right, of the longest quarter {transformer_long:.0%}, where the recurrent network "
        "with alignment had {bahdanau_all:.0%} and {bahdanau_long:.0%}.",
        "maps of the heads of the encoder",
        ("alignment",),
    ),
    Stop(
        "equal_compute",
        "Transformer against LSTM at equal compute",
        (_train(f"{_GPT} {_WINDOW} {_SHORT} --config.training.num_steps=400", "gpt"),),
        "Without a recurrence all positions of a text are trained in parallel, and a Transformer "
        "that reads from left to right is a language model (GPT, Radford et al., 2018). Here it "
        "has two layers of 96 and is trained with about the same number of operations as the LSTM "
        "of the third stop ({gpt_work:.2f} and {lstm_work:.2f} x 10^12, counted as in "
        "[performance](performance.md)).",
        "After about the same number of operations the GPT has {gpt:.2f} nats and the LSTM "
        "{lstm:.2f}, and it is ahead from the first points on. That is one recipe each and one "
        "seed: other rates or more steps would bring the LSTM nearer. The picture does not show "
        "that the LSTM has to take one character after the other, so that on an accelerator its "
        "operations also take longer. Neither has reached the {orders}-gram yet ({ngram:.2f}): "
        "operations are what they lack, so the next idea is to spend them once, on much text, and "
        "to use the result many times.",
        "loss over operations, LSTM and GPT",
        ("counting", "gates"),
    ),
    Stop(
        "fine_tuning",
        "Trained before, then fine-tuned",
        (
            _train(f"{_GPT} {_WINDOW} {_PAGES}", "from_nothing"),
            _train(f"{_GPT} {_WINDOW} {_PAGES} --init_from={{root}}/gpt", "fine_tuned"),
        ),
        "A network that has read much text can be trained further on little (Radford et al., "
        "2018). The little text is a page of this project, docs/design.md; one network starts from "
        "random weights, the other from the GPT of the stop before, with the same vocabulary and "
        "the same steps.",
        "After {first} steps on the page the network that was trained before has "
        "{fine_tuned_first:.2f} nats, the other {from_nothing_first:.2f}; at the end they have "
        "{fine_tuned:.2f} and {from_nothing:.2f}. What was learned from another text, spelling and "
        "words of English, is worth more than the page itself. Nothing in this needs attention: "
        "recurrent networks were trained so too (Dai and Le, 2015; Howard and Ruder, 2018), and "
        "Transformers took over because more operations could be put into the first training. "
        "Writing with them has a price, though.",
        "loss over steps, from nothing and fine-tuned",
        ("equal_compute",),
    ),
    Stop(
        "cache",
        "The price of looking back",
        ("python -m experiments.token_times --longest=1024 --folder={root}/token_times",),
        "To write the next token a Transformer looks at all tokens before, so it keeps their keys "
        "and values, and reads them for each new token. The models are untrained: only time and "
        "memory matter here, greedily and for one row.",
        "From {shortest} to {longest} tokens before it, the time of a token grows {growth:.1f} "
        "times for the GPT with its cache; for the LSTM, whose state has one size, it is "
        "{flat:.1f} times that of the shortest text. Both would be 1 if length did not matter and "
        "every measurement were exact ([evaluation](evaluation.md) continues to 8,192 tokens). The "
        "next idea asks whether attention can be had with a state of one size.",
        "time of a token by length of the text",
    ),
    Stop(
        "constant_memory",
        "Back to recurrence",
        (
            _train(
                f"--config=shakespeare_aaren --config.data.name=python_docs {_ATTENDS} {_WINDOW} "
                f"{_SHORT} --config.optimizer.peak_lr=3e-3 --config.training.num_steps=400",
                "aaren",
            ),
        ),
        "Aaren (Feng et al., 2024) is attention with a query that is learned and does not depend "
        "on the text. Then the weighted average over all tokens so far can be updated from the "
        "last one, as in a recurrence, and trained in parallel, as in a Transformer. Layers, "
        "widths and steps are those of the GPT.",
        "Right, the states of the LSTM and of Aaren keep their size, and the cache of the GPT "
        "grows {cache_growth:.0f} times. Left is the price: after about as many operations Aaren "
        "has {aaren:.2f} nats, the GPT {gpt:.2f} and the LSTM {lstm:.2f}. A query that does not "
        "depend on the text cannot ask for something else at each character. With larger blocks "
        "and longer training the gap is smaller (`shakespeare_aaren` has 1.90 against 1.83), and "
        "better recurrences that are trained in parallel, such as the LRU and minGRU, are where "
        "the history goes from here.",
        "loss over operations with Aaren; bytes of the state by length",
        ("counting", "gates", "equal_compute", "cache"),
    ),
)
