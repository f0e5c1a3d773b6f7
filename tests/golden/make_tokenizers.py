"""Writes hf_tokenizers.json: ids of odd texts by transformers 5.23, for folders of `texts`.

python -m tests.golden.make_tokenizers
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.interop.texts import BYTES, ODD, WORDS, bert_words, gpt2_bytes, write

GOLDEN = Path(__file__).with_name("hf_tokenizers.json")


def main() -> None:
    """Encodes every text with every tokenizer."""
    from transformers import AutoTokenizer  # pyright: ignore[reportMissingImports]

    found: dict[str, Any] = {}
    for kind, variants in (("bert", WORDS), ("gpt2", BYTES)):
        for name, files in variants.items():
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                bert_words(folder, files) if kind == "bert" else gpt2_bytes(folder, **files)
                write(folder, "config", {"model_type": kind})
                tokenizer = AutoTokenizer.from_pretrained(folder)
                found[f"{kind}, {name}"] = [tokenizer(text)["input_ids"] for text in ODD]
    GOLDEN.write_text(json.dumps(found, separators=(",", ":")).replace("]],", "]],\n") + "\n")


if __name__ == "__main__":
    main()
