"""Data sets by name."""

from __future__ import annotations

from seqmodels.registry.entries import DatasetEntry

_OWN_FILES = (
    *("path", "train_path", "validation_path", "test_path"),
    *("validation_fraction", "test_fraction"),
)
DATASETS: dict[str, DatasetEntry] = {
    "python_docs": DatasetEntry(
        "seqmodels.data.datasets.python_docs:PythonDocs",
        "built in: the language reference that is part of every CPython",
        ("text",),
    ),
    "python_source": DatasetEntry(
        "seqmodels.data.datasets.python_source:PythonSource",
        "built in: the standard library's .py files, 11 million characters",
        ("text",),
    ),
    "text_file": DatasetEntry(
        "seqmodels.data.datasets.text_file:TextFile",
        "your own UTF-8 files (data.path, or one path per split)",
        ("text",),
        _OWN_FILES,
    ),
    "wikitext2": DatasetEntry(
        "seqmodels.data.datasets.wikitext2:WikiText2",
        "WikiText-2, cut into words: data.path, or `prepare` downloads it",
        ("text",),
        ("path",),
    ),
    "scales": DatasetEntry(
        "seqmodels.data.datasets.scales:Scales",
        "built in: scales and jigs in ABC notation, made by rule",
        ("text",),
    ),
    "irish_abc": DatasetEntry(
        "seqmodels.data.datasets.irish_abc:IrishABC",
        "804 Irish tunes in ABC (MIT 6.S191): data.path, or `prepare` downloads it",
        ("text",),
        ("path",),
    ),
    "abc_file": DatasetEntry(
        "seqmodels.data.datasets.abc_file:ABCFile",
        "your own ABC files, split by tune (data.path, or one path per split)",
        ("text",),
        (*_OWN_FILES, "strict"),
    ),
    "dates": DatasetEntry(
        "seqmodels.data.datasets.dates:Dates",
        "built in: written dates and the same dates in ISO 8601",
        ("source", "target"),
    ),
    "numbers": DatasetEntry(
        "seqmodels.data.datasets.numbers:Numbers",
        "built in: numbers in words and the same numbers in digits",
        ("source", "target"),
    ),
    "multi30k": DatasetEntry(
        "seqmodels.data.datasets.multi30k:Multi30k",
        "captions in English, German and French: data.path, or `prepare` downloads it",
        ("en", "de", "fr"),
        ("path",),
    ),
    "parallel_text": DatasetEntry(
        "seqmodels.data.datasets.parallel_text:ParallelText",
        "your own parallel texts, line by line: one UTF-8 file per column",
        None,
        _OWN_FILES,
    ),
    "order_sentences": DatasetEntry(
        "seqmodels.data.datasets.order_sentences:OrderSentences",
        "built in: praise and blame that depend on order and negation",
        ("text", "label"),
    ),
    "stories": DatasetEntry(
        "seqmodels.data.datasets.stories:Stories",
        "built in: short stories with a question whose answer is a place",
        ("text", "label"),
    ),
    "rotten_tomatoes": DatasetEntry(
        "seqmodels.data.datasets.sentiment:RottenTomatoes",
        "MR, sentences of film reviews: data.path, or `prepare` downloads it",
        ("text", "label"),
        ("path", "fold"),
    ),
    "sst2": DatasetEntry(
        "seqmodels.data.datasets.sentiment:SST2",
        "SST-2, whole sentences of film reviews: data.path, or `prepare` downloads it",
        ("text", "label"),
        ("path",),
    ),
    "shapes": DatasetEntry(
        "seqmodels.data.datasets.shapes:Shapes",
        "built in: circles, squares, triangles and crosses on noise; shapes:SIZE",
        ("image", "label"),
        argument="[SIZE]",
        least_size=8,
    ),
    "scenes": DatasetEntry(
        "seqmodels.data.datasets.scenes:Scenes",
        "built in: drawn scenes of two shapes, with captions",
        ("image", "caption"),
    ),
    "digits": DatasetEntry(
        "seqmodels.data.datasets.digits:Digits",
        "built in: handwritten digits of 8 x 8 pixels, part of scikit-learn",
        ("image", "label"),
    ),
    "waves": DatasetEntry(
        "seqmodels.data.datasets.waves:Waves",
        "built in: waves of four shapes with noise",
        ("values", "label"),
    ),
    "ecg5000": DatasetEntry(
        "seqmodels.data.datasets.ecg:ECG5000",
        "heartbeats of five classes (UCR): data.path, or `prepare` downloads it",
        ("values", "label"),
        ("path",),
    ),
    "ecg200": DatasetEntry(
        "seqmodels.data.datasets.ecg:ECG200",
        "heartbeats of two classes (UCR): data.path, or `prepare` downloads it",
        ("values", "label"),
        ("path",),
    ),
    "tones": DatasetEntry(
        "seqmodels.data.datasets.tones:Tones",
        "built in: sounds of tones, intervals and chords with noise",
        ("sound", "label"),
    ),
    "spoken_digits": DatasetEntry(
        "seqmodels.data.datasets.spoken_digits:SpokenDigits",
        "built in: sounds of digits, a pair of tones each, and their text",
        ("sound", "text"),
    ),
    "lines": DatasetEntry(
        "seqmodels.data.datasets.lines:Lines",
        "built in: images of rendered lines of text, and their text",
        ("image", "text"),
    ),
    "pass_fail": DatasetEntry(
        "seqmodels.data.datasets.pass_fail:PassFail",
        "built in: hours of study, lectures, and whether an exam was passed",
        ("hours,lectures", "label"),
    ),
    "motifs": DatasetEntry(
        "seqmodels.data.datasets.motifs:Motifs",
        "built in: DNA with two boxes whose order decides the class",
        ("sequence", "label", "sites"),
    ),
    "splice": DatasetEntry(
        "seqmodels.data.datasets.splice:Splice",
        "splice junctions of genes (UCI): data.path, or `prepare` downloads it",
        ("sequence", "label"),
        ("path", "fold"),
    ),
    "proteins": DatasetEntry(
        "seqmodels.data.datasets.proteins:Proteins",
        "secondary structure of proteins (UCI): data.path, or `prepare` downloads it",
        ("sequence", "structure"),
        ("path",),
    ),
    "fasta": DatasetEntry(
        "seqmodels.data.datasets.fasta:Fasta",
        "your own sequences in FASTA files: fasta, fasta:dna or fasta:protein",
        ("sequence", "label", "name"),
        _OWN_FILES,
        argument="[ALPHABET]",
        endings=(".fasta", ".fa", ".fna", ".faa"),
    ),
    "folder": DatasetEntry(
        "seqmodels.data.datasets.folder:Folder",
        "your own images, or WAV files, in one subfolder per class",
        ("image", "sound", "label"),
        _OWN_FILES,
    ),
    "table": DatasetEntry(
        "seqmodels.data.datasets.table:Table",
        "your own table: a CSV, TSV or JSONL file with named columns",
        None,
        _OWN_FILES,
        endings=(".csv", ".tsv", ".jsonl"),
    ),
    "seasonal": DatasetEntry(
        "seqmodels.data.datasets.seasonal:Seasonal",
        "built in: hourly series with a day, a week, a trend and noise",
        ("values",),
    ),
    "ball": DatasetEntry(
        "seqmodels.data.datasets.ball:Ball",
        "built in: places of a ball that bounces in a box",
        ("values",),
    ),
    "etth1": DatasetEntry(
        "seqmodels.data.datasets.published_series:ETTh1",
        "ETTh1, hours of a transformer: data.path, or `prepare` downloads it",
        ("values", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"),
        ("path",),
    ),
    "seattle_weather": DatasetEntry(
        "seqmodels.data.datasets.published_series:SeattleWeather",
        "four years of weather in Seattle: data.path, or `prepare` downloads it",
        ("values", "precipitation", "temp_max", "temp_min", "wind"),
        ("path",),
    ),
    "stocks": DatasetEntry(
        "seqmodels.data.datasets.published_series:Stocks",
        "monthly prices of five shares: data.path, or `prepare` downloads it",
        ("values",),
        ("path",),
    ),
    "series_file": DatasetEntry(
        "seqmodels.data.datasets.series_file:SeriesFile",
        "your own series: a CSV or TSV file with a time column and columns of values",
        None,
        (*_OWN_FILES, "time_column", "gaps"),
    ),
    "tfds": DatasetEntry(
        "seqmodels.data.datasets.catalog:Catalog",
        "tfds:NAME, a TFDS catalog data set in array_record form",
        None,
        ("tfds_data_dir",),
        argument="NAME",
    ),
}

_GENERATED = {
    "adding": ("memory:Adding", "the sum of two marked numbers of SIZE (default 100)", 4),
    "copy": ("memory:Copy", "ten symbols, to be written after SIZE steps (default 100)", 2),
    "selective_copy": (
        "memory:SelectiveCopy",
        "sixteen symbols among SIZE steps (default 256)",
        16,
    ),
    "recall": (
        "memory:Recall",
        "values of keys (MQAR), SIZE pairs in 16 SIZE steps (default 4)",
        1,
    ),
    "induction": (
        "memory:Induction",
        "the symbol after a marker, up to SIZE steps (default 64)",
        8,
    ),
    "parity": ("state:Parity", "even or odd number of ones, up to SIZE bits (default 40)", 1),
    "even_pairs": (
        "state:EvenPairs",
        "whether the last letter is the first, up to SIZE (default 40)",
        2,
    ),
    "cycle_navigation": (
        "state:CycleNavigation",
        "place on a cycle, up to SIZE moves (default 40)",
        1,
    ),
    "modular_arithmetic": (
        "state:ModularArithmetic",
        "sums and products, SIZE tokens (default 40)",
        3,
    ),
    "a5_words": ("state:A5Words", "products in the group A5, up to SIZE elements (default 20)", 1),
    "reverse": ("stacks:Reverse", "a word backwards, up to SIZE letters (default 20)", 1),
    "duplicate": ("stacks:Duplicate", "a word twice, up to SIZE letters (default 20)", 1),
    "bucket_sort": ("stacks:BucketSort", "digits in order, up to SIZE (default 20)", 1),
    "dyck": ("stacks:Dyck", "which bracket may close, up to SIZE brackets (default 40)", 2),
    "listops": ("stacks:ListOps", "values of nested lists, up to SIZE tokens (default 100)", 8),
}
"""The diagnostics: class, summary with the default size, least size."""
_COLUMNS = {
    **dict.fromkeys(("copy", "selective_copy", "recall", "a5_words"), ("text", "tags")),
    **dict.fromkeys(("reverse", "duplicate", "bucket_sort", "dyck"), ("text", "tags")),
    "adding": ("values", "target"),
}
DATASETS |= {
    name: DatasetEntry(
        f"seqmodels.data.datasets.diagnostics_{place}",
        f"diagnostic: {summary}",
        _COLUMNS.get(name, ("text", "label")),
        argument="[SIZE]",
        least_size=least,
    )
    for name, (place, summary, least) in _GENERATED.items()
}
