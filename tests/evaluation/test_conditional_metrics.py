"""`evaluate` of models that are given more than a class: perfect ones, such as ignore it, and copies."""

import json

import numpy as np
import pytest
import torch

import simulacra as sim
from simulacra.cli import evaluate as command
from simulacra.data import Card, Dataset, DataSpec, Split
from simulacra.evaluation import Evaluation, Measure, Subject, conditional, maps, segmentation
from simulacra.evaluation.table import metrics
from simulacra.feed import feed
from simulacra.fields import LabelMap, Levels


class Fake(torch.nn.Module):
    """A sampler of the test item of a condition ("perfect"), of any training item, or of one of the condition's."""

    name = "fake"

    def __init__(self, data: Dataset, condition: str, how: str):
        super().__init__()
        self.spec, self.device, self.how = data.spec.conditioned_on(condition), torch.device("cpu"), how
        x, given = feed(data.test, np.arange(len(data.test)), self.spec, self.device)
        self.known = dict(zip(self.keys(given), x, strict=True))
        self.pool = torch.from_numpy(np.array(data.train.x))

    def keys(self, condition) -> list[bytes]:
        (value,) = condition.values()
        return [np.ascontiguousarray(each).tobytes() for each in value.numpy()]

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        if self.how == "perfect":
            return torch.stack([self.known[key] for key in self.keys(condition)])
        return self.pool[torch.randint(len(self.pool), (n,), generator=generator)]


OWN = [
    conditional.likeness,
    conditional.consistency_with_conditions,
    conditional.retrieval_of_truths,
    conditional.diversity_within_conditions,
    conditional.agreement_with_labels,
]


def measured(data: Dataset, how: str) -> dict[str, Measure]:
    subject = Subject(Fake(data, "down:factor=2", how), data)
    return {name: measure for each in OWN for name, measure in each(subject).items()}


def test_a_perfect_model_is_at_the_ceiling_of_all_figures_and_above_control_and_baselines(digits):
    found = measured(digits, "perfect")
    assert found["consistency"].value == found["consistency"].ceiling == 0
    assert found["consistency"].baseline["copy"] == 0
    assert found["label_agreement"].value == found["label_agreement"].ceiling > 0.95
    assert found["label_majority"].value == found["label_majority"].ceiling > 0.95
    assert found["label_agreement"].control < 0.2
    assert found["diversity"].value == pytest.approx(0, abs=1e-6)
    assert found["diversity"].control == pytest.approx(1, abs=0.1)
    for name in ("psnr", "ssim", "retrieval_1", "retrieval_10", "retrieval_1_random", "label_agreement"):
        measure = found[name]
        assert measure.value == measure.ceiling, name
        assert measure.control < measure.low, name
        assert all(value < measure.value for value in measure.baseline.values()), name
    assert found["psnr"].baseline.keys() == {"copy", "bicubic", "mean", "nearest", "random"}
    assert found["retrieval_1"].baseline.keys() == {"copy", "bicubic", "nearest", "chance"}


def test_a_model_that_ignores_its_condition_is_at_its_control(digits):
    found = measured(digits, "random")
    for name in ("psnr", "ssim", "consistency", "label_agreement", "label_majority"):
        measure = found[name]
        width = measure.high - measure.low  # of two figures with such an interval each
        assert abs(measure.value - measure.control) < width, name
        if "random" in measure.baseline:
            assert abs(measure.value - measure.baseline["random"]) < width, name
    for name in ("retrieval_1", "retrieval_10", "retrieval_1_random", "retrieval_10_random"):
        assert found[name].low <= found[name].baseline["chance"] <= found[name].high
    assert found["diversity"].value == pytest.approx(1, abs=0.05)


def test_evaluate_has_them_and_a_quick_look_trains_no_judge(digits):
    found = sim.evaluate(Fake(digits, "down:factor=2", "random"), digits, quick=True)
    assert {"psnr", "ssim", "consistency", "retrieval_1", "diversity"} <= found.keys()
    assert "label_agreement" in found.left_out
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["psnr"]["baseline"].keys() == found["psnr"].baseline.keys()
    assert record["psnr"]["ceiling"] == 100
    assert record["frechet_distance"]["baseline"] is None


def test_a_model_of_classes_and_training_items_have_none_of_this(digits):
    by_name = {each.name: each for each in metrics()}
    own = [by_name[name] for name in ("pairs", "consistency", "retrieval", "diversity", "label_agreement")]
    assert not any(each.suits(Subject(Fake(digits, "label", "random"), digits)) for each in own)
    assert all(each.suits(Subject(Fake(digits, "down:factor=2", "random"), digits)) for each in own)
    assert all("nothing was learnt" in (each.obstacle("train", 100) or "") for each in own)


# Maps


@pytest.fixture
def streets() -> Dataset:
    """Pictures of three classes of pixels in noisy colours, in their order from left to right."""
    rng, colours = np.random.default_rng(0), np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    splits = {}
    for part, n in (("train", 80), ("valid", 8), ("test", 40)):
        edges = np.sort(rng.integers(1, 12, (n, 12, 2)), -1)
        classes = (np.arange(12) >= edges[..., :1]).astype(np.uint8) + (np.arange(12) >= edges[..., 1:])
        x = colours[classes].transpose(0, 3, 1, 2) + rng.normal(0, 25, (n, 3, 12, 12))
        splits[part] = Split(x.clip(0, 255).astype(np.uint8), {"map": classes.astype(np.uint8)}, part)
    spec = DataSpec(Levels((3, 12, 12), 256), {"map": LabelMap(3, (12, 12))})
    return Dataset("streets", spec, **splits, card=Card("streets", "a test", "none"), fingerprint="streets")


def test_pictures_of_a_map_are_read_by_a_segmenter_with_its_ceiling(streets, monkeypatch):
    monkeypatch.setattr(segmentation, "STEPS", 40)
    names = {"map_accuracy_of_samples", "map_class_accuracy_of_samples", "map_iou_of_samples"}
    found = maps.maps_by_segmenter(Subject(Fake(streets, "map", "perfect"), streets))
    other = maps.maps_by_segmenter(Subject(Fake(streets, "map", "random"), streets))
    assert found.keys() == other.keys() == names
    for name in names:
        assert found[name].value == found[name].ceiling > 0.9
        assert found[name].control < found[name].low
        assert found[name].baseline["colour"] > 0.9
        assert other[name].ceiling == found[name].ceiling
        assert abs(other[name].value - other[name].control) < other[name].high - other[name].low


def test_maps_of_pictures_are_compared_with_the_true_ones(streets):
    turned = streets.target("map")
    perfect, other = (Subject(Fake(turned, "x", how), turned) for how in ("perfect", "random"))
    assert {measure.value for measure in maps.maps_of_samples(perfect).values()} == {1.0}
    measure = maps.maps_of_samples(other)["map_iou"]
    assert measure.control == pytest.approx(measure.value, abs=measure.high - measure.low)
    assert measure.ceiling == 1
    assert measure.baseline.keys() == {"mean", "nearest", "random"}


# What a user sees


def test_the_command_prints_each_figure_beside_its_baselines_control_and_ceiling(capsys):
    plain = Measure(1.0, 0.5, 1.5, None, 60, "estimate", "unit")
    full = Measure(
        0.5, 0.4, 0.6, None, 60, "estimate", "share", baseline={"copy": 0.3, "mean": 0.1}, control=0.2, ceiling=0.9
    )
    assert "copy 0.3, mean 0.1, control 0.2, ceiling 0.9" in str(full)
    command._print_beside(Evaluation({"bits_per_dim": plain}, None, None, {}))
    assert not capsys.readouterr().out
    command._print_beside(Evaluation({"bits_per_dim": plain, "agreement": full}, None, None, {}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("\t") == ["beside", "value", "copy", "mean", "control", "ceiling"]
    assert lines[2].split("\t") == ["agreement", "0.5", "0.3", "0.1", "0.2", "0.9"]
    assert "bits_per_dim" not in "\n".join(lines)
