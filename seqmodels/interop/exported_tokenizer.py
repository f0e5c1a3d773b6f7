"""The tokenizer of a run as the files of a Hugging Face folder."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

from seqmodels.data.features.tokens import CLASS_TOKEN
from seqmodels.data.huggingface import HuggingFaceTokenizer
from seqmodels.data.special_tokens import GENERATION, SETTINGS, SpecialTokens
from seqmodels.runs.run import Run
from seqmodels.runs.workdir import write_json
from seqmodels.types import TokenInput

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


@dataclasses.dataclass(frozen=True)
class ExportedTokenizer:
    """A tokenizer that has the tokens of the run's own too.

    Attributes:
      description: content of `tokenizer.json`.
      special: special tokens, and the ids that came with the model.
    """

    description: dict[str, Any]
    special: SpecialTokens

    def write(self, folder: Path, config: dict[str, Any]) -> dict[str, Any]:
        """Writes tokenizer.json, tokenizer_config.json and, where there was one, the ids of
        generation_config.json.
        generation_config.json.

        Args:
          config: what config.json holds.

        Returns:
          The ids of special tokens for config.json.
        """
        bert = config["model_type"] == "bert"
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config["max_position_embeddings" if bert else "n_positions"],
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", *["token_type_ids"] * bert, "attention_mask"],
        }
        write_json(folder / "tokenizer.json", self.description)
        write_json(folder / SETTINGS, {**settings, **self.special.tokens})
        if self.special.generation is not None:
            write_json(folder / GENERATION, self.special.generation)
        return self.special.ids


def exported_tokenizer(run: Run) -> ExportedTokenizer | None:
    """The tokenizer of a run; None unless it is one of the `tokenizers` library."""
    tokenizer, inputs = run.tokenizer, run.spec.inputs
    if not isinstance(tokenizer, HuggingFaceTokenizer) or not isinstance(inputs, TokenInput):
        return None
    assert run.features is not None
    own = run.features["inputs"].to_json()["reserved"]
    tokens = dict(tokenizer.special.tokens)
    if not own and inputs.vocab_size > tokenizer.vocab_size:
        own = ["[MASK]"]  # of a masked language model whose tokenizer lacks one
        tokens["mask_token"] = own[0]
    description = copy.deepcopy(tokenizer.description())
    if CLASS_TOKEN in own:
        tokens["cls_token"] = CLASS_TOKEN
        number = tokenizer.vocab_size + own.index(CLASS_TOKEN)
        description["post_processor"] = _begin_with(CLASS_TOKEN, number)
    if own:
        first = len(tokenizer.vocabulary())
        unused = [f"[unused{n}]" for n in range(first, tokenizer.vocab_size)]
        # The library numbers added tokens in their order.
        for number, token in enumerate([*unused, *own], first):
            added = {"id": number, "content": token, "special": True}
            description["added_tokens"].append({**added, **dict.fromkeys(_FLAGS, False)})
    special = tokenizer.special
    return ExportedTokenizer(description, dataclasses.replace(special, tokens=tokens))


def _begin_with(token: str, number: int) -> dict[str, Any]:
    """A post-processor that puts a token before a text, as the description of one."""
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    text, second = ({"Sequence": {"id": name, "type_id": n}} for n, name in enumerate("AB"))
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, second],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }
