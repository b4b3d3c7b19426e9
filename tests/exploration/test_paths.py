"""Paths between codes: both ends exact, and in between along the sphere."""

import math

import pytest
import torch

from simulacra.exploration import slerp, walk

T = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None]


def pair(angle: float, long: float = 1.0, wide: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two codes of three numbers at an angle, of the given norms."""
    a = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    b = torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
    return long * a, wide * b


@pytest.mark.parametrize("angle", [1e-3, 0.5, math.pi / 2, 3.0, math.pi - 1e-3])
@pytest.mark.parametrize(("long", "wide"), [(1, 1), (1, 7), (3, 0.2)])
def test_directions_turn_evenly_and_norms_change_evenly(angle, long, wide):
    a, b = pair(angle, long, wide)
    path = slerp(a.expand(11, 3), b.expand(11, 3), T)
    norms = path.norm(dim=1)
    torch.testing.assert_close(
        norms,
        torch.lerp(torch.tensor(float(long)), torch.tensor(float(wide)), T[:, 0].float()).double(),
        rtol=1e-6,
        atol=1e-6,
    )
    turned = torch.atan2(path[:, 1], path[:, 0])
    torch.testing.assert_close(turned, angle * T[:, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, math.pi - 1e-9, math.pi])
def test_where_no_arc_is_defined_the_line_is_straight(angle):
    a, b = pair(angle, 1.0, 3.0)
    path = slerp(a.expand(11, 3), b.expand(11, 3), T)
    assert torch.isfinite(path).all()
    torch.testing.assert_close(path, torch.lerp(a.expand(11, 3), b.expand(11, 3), T), rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spherical", [True, False])
def test_a_walk_begins_and_ends_at_its_ends(spherical, dtype):
    a, b = torch.randn(2, 5, 20, dtype=dtype)
    path = walk(a, b, 7, spherical)
    assert path.shape == (5, 7, 20)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(path[:, 0], a, rtol=0, atol=tolerance)
    torch.testing.assert_close(path[:, -1], b, rtol=0, atol=tolerance)
    torch.testing.assert_close(path, walk(b, a, 7, spherical).flip(1), rtol=0, atol=tolerance)


def test_a_straight_walk_has_equal_steps():
    a, b = torch.randn(2, 5, 20, dtype=torch.float64)
    steps = walk(a, b, 6, spherical=False).diff(dim=1)
    torch.testing.assert_close(steps, ((b - a) / 5)[:, None].expand(-1, 5, -1))


def test_a_spherical_walk_stays_where_a_gaussian_has_its_mass():
    """The middle of a straight line is √2 too short in many dimensions."""
    a, b = torch.randn(2, 50, 400)
    middle = walk(a, b, 3, spherical=True)[:, 1].norm(dim=1).mean().item()
    straight = walk(a, b, 3, spherical=False)[:, 1].norm(dim=1).mean().item()
    assert middle == pytest.approx(20, rel=0.03)
    assert straight == pytest.approx(20 / math.sqrt(2), rel=0.05)


def test_a_code_of_zeros_has_a_path_too():
    path = slerp(torch.zeros(11, 3).double(), torch.ones(11, 3).double(), T)
    assert torch.isfinite(path).all()
    torch.testing.assert_close(path[[0, -1]], torch.tensor([[0.0] * 3, [1.0] * 3]).double())
