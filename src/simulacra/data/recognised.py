"""What a folder holds: the one place that recognises it, before the reader of that kind is called.

| what lies there                                      | `pairs`          | read as                             |
| ---------------------------------------------------- | ---------------- | ----------------------------------- |
| A/ B/, or their parts, with names in common          | None or by-name  | pairs: x is B, the field `A` is A   |
| trainA/ trainB/ ..., all names in common             | None or by-name  | the same                            |
| the same folders without such names                  | None             | two classes, A and B, without pairs |
| A/ B/, trainA/ trainB/ ...                           | none             | the same                            |
| images twice as wide as high                         | side-by-side     | pairs: left half `A`, right half x  |
| tracks of people, or parts with them                 | None             | scenes of people (`walks`)          |
| anything else                                        | None or none     | pictures, or pictures in classes    |
"""

from __future__ import annotations

from pathlib import Path

from simulacra.data.dataset import Card
from simulacra.data.folder import entries_source, folder_source
from simulacra.data.pairs import Halves, Matching, domain_entries, halves_of, matching, pairs_source
from simulacra.data.side_by_side import side_by_side_source
from simulacra.data.source import Source
from simulacra.data.walks import folder_of_tracks, tracks_in
from simulacra.errors import DataError


def recognised(root: Path, card: Card, resize: tuple[int, int] | None, pairs: str | None = None) -> Source:
    """The pictures below `root`, read as what they are; `resize` is (H, W), and `pairs` one of `recipe.PAIRS`.

    Raises DataError for a folder that holds no pictures, or not those that `pairs` says.
    """
    if pairs is None and resize is None and (tracks := tracks_in(root)):
        return folder_of_tracks(root, tracks, card)
    if pairs == "side-by-side":
        return side_by_side_source(root, card, resize)
    halves = halves_of(root)
    if not halves:
        if pairs == "by-name":
            raise DataError(f"{root} holds no pairs by name: put the pictures of either side into A/ and B/ there")
        return folder_source(root, card, resize)
    found = matching(halves) if pairs != "none" else Matching((), ())
    if pairs == "by-name" or (found.pairs and (not found.alone or _says_so(root, halves))):
        return pairs_source(root, card, resize, found)
    remarks = (f"{found.agreed} of A and B agree; --pairs by-name makes pairs of them",) if found.pairs else ()
    kind = "two domains without pairs: the classes A and B"
    return entries_source(root, card, resize, domain_entries(halves), kind, remarks)


def _says_so(root: Path, halves: list[Halves]) -> bool:
    """Whether folders are called A and B, which says that they hold pairs; trainA and trainB may as well hold none."""
    return all(each.a.name == "A" or root / "A" in each.a.parents for each in halves)
