"""Fields that lie beside pictures, whatever these are: pictures, classes, or x of pairs.

    items of a picture = its captions × its graphs,   a row of every table for each

`captions` and `graphs` read one kind of file each; here all kinds become columns of a batch, and what has a place in a
picture, boxes and masks, follows its crop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from simulacra.data.beside import Beside, Size, items_of
from simulacra.data.captions import captions_beside
from simulacra.data.dataset import Altered, Unreadable
from simulacra.data.graphs import graphs_beside
from simulacra.data.source import Batch
from simulacra.errors import DataError
from simulacra.fields import Field


@dataclass(frozen=True)
class Annotations:
    """All that is written beside the pictures of a folder, a table for each kind."""

    tables: tuple[Beside, ...]

    @property
    def fields(self) -> dict[str, Field]:
        return {name: own for table in self.tables for name, own in table.fields.items()}

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for table in self.tables for path in table.files)

    @property
    def missing(self) -> tuple[Unreadable, ...]:
        return tuple(each for table in self.tables for each in table.missing)

    @property
    def altered(self) -> tuple[Altered, ...]:
        return tuple(each for table in self.tables for each in table.altered)

    def count(self, paths: Sequence[Path]) -> int:
        """The items that pictures become."""
        return sum(math.prod(len(table.rows[path]) for table in self.tables) for path in paths)

    def joined(self, batch: Batch, paths: Sequence[Path], sizes: Mapping[Path, Size], size: Size) -> Batch:
        """A batch of these pictures with what is written beside them: an item for each row of a picture.

        sizes: (H, W) of the pictures as they are stored. size: (H, W) of x.
        """
        if not self.tables:
            return batch
        of_item, columns = items_of(self.tables, paths)
        stored = [sizes[paths[picture]] for picture in of_item]
        for table in self.tables:
            columns = table.placed(columns, stored, size)
        own = {name: values[of_item] for name, values in batch.fields.items()}
        siblings = {name: key[of_item] for name, key in batch.siblings.items()}
        return replace(batch, x=batch.x[of_item], fields=own | columns, siblings=siblings)


def annotations_of(
    root: Path, paths: Sequence[Path], taken: Collection[str], also: Mapping[Path, Path] | None = None
) -> Annotations:
    """What lies beside these pictures below `root`.

    taken: the names of other fields of theirs. also: other paths by which files may name a picture.
    Raises DataError for two fields of one name, and as the readers of each kind do.
    """
    also = also or {}
    found = [read(root, paths, also) for read in (captions_beside, graphs_beside)]
    annotations = Annotations(tuple(table for table in found if table is not None))
    for table in annotations.tables:
        if twice := sorted(table.fields.keys() & set(taken)):
            raise DataError(
                f"{table.files[0]} makes a field {twice[0]!r}, and a column of the attributes, or a side of the pairs, "
                "has this name; rename it"
            )
    return annotations
