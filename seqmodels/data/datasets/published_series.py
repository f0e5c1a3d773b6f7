"""Series that others published: ETTh1, the weather of Seattle, the prices of shares."""

from __future__ import annotations

import abc
import csv
import datetime
import io
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from seqmodels.data.datasets.dataset import Splits
from seqmodels.data.datasets.origin import Published
from seqmodels.data.datasets.published import PublishedDataset
from seqmodels.data.datasets.series import Series, cut_in_time

_VEGA = ("https://raw.githubusercontent.com/vega/vega-datasets/main/data",)


class _PublishedSeries(PublishedDataset):
    """Series of one published table, cut in the order of time.

    Columns: values, all channels; and each channel by itself.
    """

    @abc.abstractmethod
    def cut(self, rows: list[dict[str, str]]) -> Iterator[dict[str, Series]]:
        """The splits of each series of the table."""

    def splits(self) -> Splits:
        (content,) = self.files.read(self._folder).values()
        series = list(self.cut(list(csv.DictReader(io.StringIO(content.decode("utf-8"))))))
        return {
            split: {
                "values": [one[split] for one in series],
                **{
                    name: [one[split].channel(name) for one in series]
                    for name in series[0][split].channels
                },
            }
            for split in series[0]
        }

    def locate(self, split: str, row: int) -> str:
        return f"{self.files.name}, the {split} split, series {row + 1}"


class ETTh1(_PublishedSeries):
    """Loads (HUFL .. LULL) and oil temperature (OT) of a transformer by the hour, 2016 to 2018.

    The splits are those of the papers: 12, 4 and 4 months of 30 days; the other rows are not used.
    Source: Zhou et al., 2021, arXiv:2012.07436.
    """

    files = Published(
        "etth1",
        {
            "ETTh1.csv": (
                2_589_657,
                "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            )
        },
        ("https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small",),
        folder="ett",
    )
    ends: ClassVar[tuple[int, ...]] = tuple(24 * 30 * months for months in (12, 16, 20))

    def cut(self, rows: list[dict[str, str]]) -> Iterator[dict[str, Series]]:
        channels = tuple(name for name in rows[0] if name != "date")
        yield cut_in_time(_series(rows, channels, datetime.datetime.fromisoformat), self.ends)


class SeattleWeather(_PublishedSeries):
    """Rain, highest and lowest temperature and wind of 1,461 days, from 2012 to 2015.

    2012 and 2013 are for training, 2014 is the validation and 2015 the test split.
    """

    files = Published(
        "seattle_weather",
        {
            "seattle-weather.csv": (
                48_219,
                "0845078a290b48e3149ab8639966824110a251db4e06fc144c06ebb534af23be",
            )
        },
        _VEGA,
        folder="weather",
    )

    def cut(self, rows: list[dict[str, str]]) -> Iterator[dict[str, Series]]:
        channels = ("precipitation", "temp_max", "temp_min", "wind")
        ends = (731, 731 + 365, 731 + 2 * 365)
        yield cut_in_time(_series(rows, channels, datetime.datetime.fromisoformat), ends)


class Stocks(_PublishedSeries):
    """Prices of five shares at the beginning of each month, 2000 to March 2010; Google's from 2004.

    A series per share; its last 15 months are the test split, the 12 before them the validation.
    """

    files = Published(
        "stocks",
        {
            "stocks.csv": (
                12_245,
                "f9953ac6693e587476b4ebf2f0b00d9bb95371ca8c39da4cc6155077b3e417cd",
            )
        },
        _VEGA,
    )

    def cut(self, rows: list[dict[str, str]]) -> Iterator[dict[str, Series]]:
        for symbol in dict.fromkeys(row["symbol"] for row in rows):
            own = [row for row in rows if row["symbol"] == symbol]
            size = len(own)
            series = _series(own, ("price",), _read_month, symbol)
            yield cut_in_time(series, (size - 27, size - 15, size))


def _read_month(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%b %d %Y")


def _series(
    rows: list[dict[str, str]], channels: tuple[str, ...], read_time: Any, name: str = ""
) -> Series:
    values = np.array([[float(row[channel]) for channel in channels] for row in rows])
    times = [read_time(row["date"]) for row in rows]
    return Series(values, channels, times=times, name=name)
