"""Emoji: 1,839 of them at 64×64, each drawn in four styles that are aligned item by item.

x is the drawing of OpenMoji in colour. `twemoji` and `noto` are those of two other projects, `line` is OpenMoji without
its colours, and `group` its group in Unicode. So one set is for pairs (`--condition line`), for another style
(`--target noto`), for pictures of a kind (`--condition group`), and for pictures of words: `caption` is the name, such
as "grinning face with big eyes". Skin tones are left out, so that no two items are siblings, and splits are drawn.

Read are {openmoji,twemoji,noto}_64.npy.xz (N, 64, 64, 3), openmoji_line_64.npy.xz (N, 64, 64), uint8, and
captions.json, a list of N records with the keys "group" and "name".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simulacra.data.collected import LEVELS, Size, expect_rows, fitted, held, read_uint8
from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Source, reading
from simulacra.data.vocabulary import numbered
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Levels
from simulacra.files import parse_json, read_regular

CARD = Card(
    title="Emoji in four styles, 64×64",
    source="https://openmoji.org, https://github.com/jdecked/twemoji, https://github.com/googlefonts/noto-emoji",
    licence="OpenMoji CC BY-SA 4.0; Twemoji CC BY 4.0; Noto Emoji OFL 1.1",
)
SIDE, MOST_BYTES = 64, 1 << 24
STYLES = {"x": "openmoji", "twemoji": "twemoji", "noto": "noto"}


def emoji_source(size: Size = None) -> Source:
    """Raises DataError where a file is missing or damaged."""
    *colours, line, captions = held(
        "emoji", *(f"{style}_64.npy.xz" for style in STYLES.values()), "openmoji_line_64.npy.xz", "captions.json"
    )
    groups, sentences = (_texts(captions, key) for key in ("group", "name"))
    caption, tokens = numbered("caption", sentences)
    names = tuple(sorted(set(groups)))
    height, width = size or (SIDE, SIDE)

    def batches() -> Iterator[Batch]:
        drawn = {
            name: read_uint8(path, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
            for name, path in zip(STYLES, colours, strict=True)
        }
        drawn["line"] = read_uint8(line, SIDE, SIDE)[:, None]
        for (name, x), path in zip(drawn.items(), (*colours, line), strict=True):
            expect_rows(path, len(x), len(groups))
            drawn[name] = fitted(x, size)
        label = np.array([names.index(group) for group in groups], np.int64)
        yield Batch("train", drawn.pop("x"), drawn | {"group": label, "caption": tokens})

    coloured, grey = Levels((3, height, width), LEVELS), Levels((1, height, width), LEVELS)
    fields = {"twemoji": coloured, "noto": coloured, "line": grey, "group": ClassLabel(len(names), names)}
    return Source(
        name="emoji",
        card=CARD,
        count=len(groups),
        batches=batches,
        files=(*colours, line, captions),
        options=(f"resize={size}",),
        levels=LEVELS,
        fields=fields | {"caption": caption},
        learned=("caption",),
    )


def _texts(captions: Path, key: str) -> list[str]:
    """What every record has under the key."""
    with reading(captions):
        records = parse_json(read_regular(captions, MOST_BYTES))
    if not isinstance(records, list) or not records:
        raise DataError(f"{captions} is no list of records")
    for i, record in enumerate(records):
        if not isinstance(record, dict) or not isinstance(record.get(key), str):
            raise DataError(f'{captions}: record {i} has no "{key}"')
    return [record[key] for record in records]
