"""Text as pieces of bytes."""

import numpy as np
import pytest

import simulacra as sim
from simulacra.errors import DataError, UsageError
from simulacra.fields import Text

LINE = "Grüße aus dem Text, in dem nichts zweimal steht: "


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("".join(f"{LINE}{i}. " for i in range(20)), encoding="utf-8")
    return path


def test_pieces_in_their_order_are_train_then_valid_then_test(text):
    data, raw = sim.data.load(text, window=50), text.read_bytes()
    n = len(raw) // 50
    assert data.spec.x == Text((50,))
    assert b"".join(split.x.tobytes() for split in data.splits) == raw[: 50 * n]
    assert [len(split) for split in data.splits] == [n - 2 * round(n / 10), round(n / 10), round(n / 10)]


def test_remarks_say_how_many_bytes_a_character_has_and_what_is_left_out(text):
    raw = text.read_bytes()
    characters, rest = len(raw.decode()), len(raw) % 50
    assert sim.data.load(text, window=50).remarks == (
        f"{characters:,} characters in {len(raw):,} bytes: {len(raw) / characters:.4g} bytes per character",
        f"the last {rest} bytes fill no piece and are left out",
    )


def test_what_is_empty_or_too_short_is_refused(tmp_path):
    path = tmp_path / "short.txt"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"short.txt is empty"):
        sim.data.load(path)
    path.write_text("x" * 100)
    with pytest.raises(DataError, match=r"has 100 bytes: too few for three pieces of 256 \(give a smaller --window\)"):
        sim.data.load(path)
    with pytest.raises(UsageError, match="takes no rate: rate is for sound"):
        sim.data.load(path, rate=100)
    assert len(np.concatenate([split.x for split in sim.data.load(path, window=10).splits])) == 10
