"""An exact density of clips: it adds up to one, its draws follow it, and what moves in training is a bound of it."""

import itertools
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from small import all_items, items, randomise
from torch import Tensor

from simulacra.autoregressive import GatedPixelCNN
from simulacra.checks.cases import condition_of
from simulacra.cli import main
from simulacra.condition import Condition
from simulacra.data import ClassLabel, DataSpec, Levels
from simulacra.data.shipped.bouncing import path_of, rendered
from simulacra.errors import UsageError
from simulacra.pictures import clips_gif
from simulacra.sequences import MotionMixture
from simulacra.turns import Turn

TINY = DataSpec(Levels((3, 1, 2, 2), 2))
CLIPS = DataSpec(Levels((5, 2, 6, 7), 5), {"label": ClassLabel(3)})
NETWORK = GatedPixelCNN(width=4, layers=2, dropout=0.0)


def small(
    spec: DataSpec = CLIPS,
    reach: int = 2,
    padding: Literal["replicate", "zeros"] = "zeros",
    first: Literal["raster", "placed"] = "raster",
) -> MotionMixture:
    torch.manual_seed(0)
    return (
        randomise(MotionMixture(spec, NETWORK, reach, hidden=5, width=3, padding=padding, first=first)).double().eval()
    )


def moved_by_hand(frame: Tensor, down: int, right: int, outside: float | None) -> Tensor:
    """A frame (C, H, W) whose pixels are `down` lower and `right` further; None for the pixels at the side again."""
    height, width = frame.shape[1:]
    rows, columns = torch.arange(height) - down, torch.arange(width) - right
    moved = frame[:, rows.clamp(0, height - 1)][:, :, columns.clamp(0, width - 1)]
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return moved if outside is None else torch.where(inside, moved, outside)


@pytest.mark.parametrize("first", ["raster", "placed"])
@pytest.mark.parametrize("reach", [0, 1, 2])
def test_the_probabilities_of_all_clips_add_up_to_one(reach, first):
    assert small(TINY, reach, first=first).log_prob(all_items(TINY)).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_draws_follow_the_density():
    """By χ² over all 4,096 clips: 99.9 % of such sums are below."""
    model, n = small(TINY, 1, first="placed"), 40_000
    place = 2 ** torch.arange(12)
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long() @ place
    expected = torch.empty(4096, dtype=torch.float64)
    expected[all_items(TINY).flatten(1).long() @ place] = model.log_prob(all_items(TINY)).exp() * n
    assert ((drawn.bincount(minlength=4096) - expected) ** 2 / expected).sum() < 4379


def test_futures_follow_the_density_of_what_comes_after_their_past():
    model, n = small(TINY, 1), 20_000
    every = all_items(TINY)
    past = every[1234, :1]
    own = (every[:, :1] == past).flatten(1).all(1)
    place = 2 ** torch.arange(8)
    future = model.forecast(past.expand(n, 1, 1, 2, 2), 2, generator=torch.Generator().manual_seed(0))
    found = (future.flatten(1).long() @ place).bincount(minlength=256)
    expected = torch.empty(256, dtype=torch.float64)
    expected[every[own, 1:].flatten(1).long() @ place] = model.log_prob(every[own]).softmax(0) * n
    assert ((found - expected) ** 2 / expected).sum() < 330  # 99.9 % of such sums of 256


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_frames_are_moved_as_by_hand(padding):
    model, x = small(padding=padding), items(CLIPS, 2)
    every, ways = model.moving(x[:, :-1]), list(itertools.product(range(-2, 3), repeat=2))
    levels, frames = x[:, :-1].flatten(0, 1).double(), len(x) * 4
    for number, (way, moved) in enumerate(zip(ways, every.by_each(), strict=True)):
        outside = None if padding == "replicate" else 0.0
        assert torch.equal(moved.x, torch.stack([moved_by_hand(each, *way, outside) for each in levels]))
        again = every.by(torch.full((frames,), number))
        assert all(torch.equal(getattr(again, name), getattr(moved, name)) for name in ("x", "mean", "kept"))
    assert torch.equal(every.by(torch.arange(frames)).x[3], moved_by_hand(levels[3], *ways[3], outside))


def test_what_training_lowers_is_off_by_the_divergence_of_the_matched_motions():
    """E[loss] = -log p + KL(r || posterior), of one clip of two frames, many times over."""
    spec = DataSpec(Levels((2, 1, 3, 3), 5))
    model, x, many = small(spec), items(spec, 1), 4000
    with torch.no_grad():
        r, weights = model.matched(x), model.weights_of(x, model.matched(x), Condition({}))
        posterior = (weights + model.under_each(x)).log_softmax(2)
        expected = (r * (r.log() - posterior)).sum() - model.log_prob(x).sum()
        draws = [model.loss(Turn(x.expand(many, -1, -1, -1, -1), Condition({})))["nats"] for _ in range(10)]
    found = torch.stack(draws)
    assert (found.mean() - expected).abs() < 4 * found.std() / 10**0.5 + 1e-3
    assert expected > -model.log_prob(x).sum() + 0.1


def test_the_motion_of_a_tile_is_matched():
    """Exactly, whichever way it moves and bounces."""
    tile = torch.randint(1, 256, (1, 12, 12), dtype=torch.uint8).numpy()
    start, velocity = torch.tensor([[3, 17]]).numpy(), torch.tensor([[-2, 3]]).numpy()
    path = path_of(start, velocity, 9)
    clip = torch.from_numpy(rendered(tile, path))
    model = MotionMixture(DataSpec(Levels((9, 1, 32, 32), 256)), NETWORK, reach=3)
    right, down = torch.from_numpy(path[0, 1:] - path[0, :-1]).long().T
    assert torch.equal(model.matched(clip)[0].argmax(1), 7 * (down + 3) + right + 3)


def test_a_frame_owes_nothing_to_what_follows():
    model, x, given = small(), items(CLIPS, 1), condition_of(CLIPS, 1)
    other = x.clone()
    other[:, 3:] = 4 - other[:, 3:]
    one, two = (model.weights_of(each, model.matched(each), given) for each in (x, other))
    assert torch.equal(one[:, :3], two[:, :3])
    assert not torch.equal(one[:, 3], two[:, 3])


def test_it_learns_where_things_go():
    """A bar that moves right and bounces: after some steps its next place is certain."""
    spec = DataSpec(Levels((6, 1, 8, 8), 2))
    torch.manual_seed(0)
    place = torch.arange(64) % 14
    path = 7 - ((place[:, None] + torch.arange(6)) % 14 - 7).abs()
    x = torch.zeros(64, 6, 1, 8, 8, dtype=torch.uint8)
    x.scatter_(4, path[:, :, None, None, None].expand(-1, -1, 1, 8, 1), 1)
    model = MotionMixture(spec, NETWORK, reach=1, hidden=32, width=4, padding="zeros", dropout=0.0)
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(100):
        adam.zero_grad()
        model.loss(Turn(x, condition_of(spec, 64)))["nats"].backward()
        adam.step()
    future = model.eval().forecast(x[:8, :3], 3, generator=torch.Generator().manual_seed(0))
    assert (future == x[:8, 3:]).double().mean() > 0.98  # of frames that stay as they are 0.75


def test_the_command_shows_what_came_and_futures(tmp_path, capsys):
    """A row for each past: in the first column what came, and every column begins alike."""
    spec, films, run, film = DataSpec(Levels((5, 1, 8, 8), 256)), tmp_path / "in", tmp_path / "run", tmp_path / "x.gif"
    films.mkdir()
    for number, clip in enumerate(items(spec, 30).numpy()):
        (films / f"{number:02}.gif").write_bytes(clips_gif(clip[None], spec))
    small = ["--network", "gated-pixelcnn:width=4,layers=2", "--hidden", "5", "--width", "3", "--steps", "1"]
    assert main(["fit", "motion-mixture", str(films), "--window", "5", *small, "--out", str(run)]) == 0
    assert main(["forecast", str(run), "--steps", "2", "-n", "5", "--limit", "2", "--out", str(film)]) == 0
    assert f"5 futures of 2 steps of 2 pasts in {film}" in capsys.readouterr().out
    with Image.open(film) as shown:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(shown)]
    scale = frames[0].shape[1] // (4 * 9 + 1)
    columns = [[frame[::scale, ::scale][:, 9 * k + 1 : 9 * k + 9] for k in range(4)] for frame in frames]
    assert len(frames) == 5
    assert all(np.array_equal(columns[t][0], columns[t][k]) for t in range(3) for k in range(4))
    assert not any(np.array_equal(columns[4][0], columns[4][k]) for k in range(1, 4))


def test_what_are_no_clips_is_refused():
    with pytest.raises(UsageError, match="motion-mixture networks are for clips"):
        MotionMixture(DataSpec(Levels((1, 8, 8), 5)))
    with pytest.raises(UsageError, match="reach >= 0"):
        MotionMixture(CLIPS, reach=-1)
