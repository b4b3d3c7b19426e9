"""The words of text: numbered over all items, fitted on the training part, expressed for a model."""

import numpy as np
import pytest

import simulacra.data as data
from simulacra.data.spec import DataSpec
from simulacra.data.vocabulary import numbered, refitted
from simulacra.errors import DataError, SimulacraWarning, UsageError
from simulacra.fields import PADDING, UNKNOWN, ClassLabel, Levels, Many, Record, Tokens, words_of
from simulacra.latent import VAE
from simulacra.verbs import data_of, items_for

COLOURS = ("red", "green", "blue")


def pictures(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 4, 4), dtype=np.uint8)


def captioned(n=40, seed=0, say=lambda i: f"a {COLOURS[i % 3]} {i % 5}"):
    """Pictures with a caption each, which `say` makes of their numbers."""
    return data.from_arrays(pictures(n, seed), fields={"caption": [say(i) for i in range(n)]})


def sentences(split, field):
    return [" ".join(field.vocabulary[token] for token in row if token != PADDING) for row in split.field("caption")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red 3!", ["a", "red", "3", "!"]),
        ("it's the cat's, não?", ["it's", "the", "cat's", ",", "não", "?"]),
        (f"an {UNKNOWN} thing", ["an", UNKNOWN, "thing"]),
        ("cafe\u0301", ["caf\u00e9"]),
        (" \n", []),
    ],
)
def test_text_is_split_into_words_and_marks(text, words):
    assert words_of(text) == words


def test_the_vocabulary_is_that_of_the_training_items_the_most_frequent_first():
    spec, column = numbered("caption", ["b b a", "a c", "d", "c"])
    order = {"train": np.array([0, 1]), "valid": np.array([2]), "test": np.array([3])}
    refit = refitted(DataSpec(Levels((1, 2, 2), 2), {"caption": spec}), ["caption"], {"caption": column}, order)
    assert refit.spec.condition["caption"] == Tokens((UNKNOWN, "a", "b", "c"), 3)
    assert refit.changes["caption"](column).tolist() == [[2, 2, 1], [1, 3, -1], [0, -1, -1], [3, -1, -1]]
    few = refitted(DataSpec(Levels((1, 2, 2), 2), {"caption": spec}), ["caption"], {"caption": column}, order, most=2)
    assert few.changes["caption"](column)[1].tolist() == [1, 0, -1]


@pytest.mark.parametrize("other", ["a purple elephant", "red red red red red red red", ""])
def test_captions_of_validation_and_test_items_change_nothing_that_a_model_sees(other):
    before = captioned()
    held_out = set(before.order[len(before.train) :].tolist())
    after = captioned(say=lambda i: other if i in held_out else f"a {COLOURS[i % 3]} {i % 5}")
    assert after.spec == before.spec
    assert (after.train.field("caption") == before.train.field("caption")).all()
    known = [word if word in before.spec.condition["caption"].vocabulary else UNKNOWN for word in other.split()]
    assert sentences(after.test, after.spec.condition["caption"]) == [" ".join(known[:3])] * len(after.test)
    assert sum(each.count for each in after.altered) == (len(held_out) if len(known) > 3 else 0)


def test_data_say_how_many_words_are_unknown():
    before = captioned()
    first = int(before.order[len(before.train)])
    found = captioned(say=lambda i: "a crimson pair" if i == first else f"a {COLOURS[i % 3]} {i % 5}")
    words = found.summary()["vocabularies"]["caption"]
    assert words["unknown"] == {"train": 0, "valid": 2, "test": 0}
    assert words["of"] == {split.name: 3 * len(split) for split in found.splits}
    assert words["frequent"]["a"] == len(found.train)
    assert words["words"] == 9


@pytest.fixture
def model():
    return VAE(captioned().spec.conditioned_on("caption"), latent=2)


@pytest.mark.parametrize("loaded", [True, False])
def test_other_data_are_expressed_in_the_words_of_the_model(model, loaded, tmp_path, write_images):
    """Those that it knows too which the training items of these data lack."""
    own = model.spec.condition["caption"]
    if loaded:
        other = captioned(20, seed=1, say=lambda i: f"a {i % 5} {'green' if i == 3 else 'mauve'}")
    else:
        folder = write_images(tmp_path / "other", pictures(20, seed=1)[:, 0])
        for i in range(20):
            (folder / f"{i:03}.txt").write_text(f"A {i % 5} {'green' if i == 3 else 'mauve'}")
        other = folder
    with pytest.warns(SimulacraWarning, match="of 'caption' that the model does not know, and reads as unknown ones: "):
        found = data_of(model, other)
    assert found.spec.condition["caption"] == own
    said = [sentence for split in found.splits for sentence in sentences(split, own)]
    assert sorted(said) == sorted(f"a {i % 5} {'green' if i == 3 else UNKNOWN}" for i in range(20))


def test_longer_texts_are_cut_with_a_warning(model):
    with pytest.warns(SimulacraWarning, match="items of arrays have more words of 'caption' than the 3"):
        found = data_of(model, captioned(20, say=lambda i: f"a red {i % 5} red"))
    assert set(sentences(found.train, model.spec.condition["caption"])) == {f"a red {i}" for i in range(5)}


def test_a_model_without_an_unknown_token_names_the_words_it_does_not_know():
    spec = DataSpec(Levels((1, 4, 4), 256), {"caption": Tokens(("a", *COLOURS, *"0123"), 3)})
    with pytest.raises(UsageError, match="words of 'caption' that are not in the vocabulary of the model: '4'"):
        data_of(VAE(spec, latent=2), captioned())


def test_a_sentence_of_ones_own_is_read_word_by_word(model):
    assert model.conditioned({"caption": "A red 3"}, 2)["caption"].shape == (2, 3)
    with pytest.raises(UsageError, match=r"'crimson' and 'bleu' are not in the vocabulary\. Did you mean 'blue'"):
        model.conditioned({"caption": "a crimson bleu"}, 1)
    _, condition = items_for(model, [{"x": x, "caption": "a Red 3"} for x in pictures(2)])
    assert (condition["caption"] == model.conditioned({"caption": "a red 3"}, 2)["caption"]).all()


def test_a_large_vocabulary_is_not_listed_whole():
    field = Tokens(tuple(f"w{i}" for i in range(1000)), 2)
    with pytest.raises(UsageError, match=r"Known: w0, .*, w19 and 980 more\.$"):
        field.convert("caption", "zzz", single=True)


@pytest.mark.parametrize(
    ("texts", "said"), [(["", "  "], "none of the 2 texts has a word"), (["a " * 600], "600 words")]
)
def test_texts_that_are_none_are_refused(texts, said):
    with pytest.raises(DataError, match=said):
        numbered("caption", texts)


def test_a_class_that_training_lacks_is_named():
    field = Many(Record({"class": ClassLabel(3, ("cat", "cow", "dog"))}), 2)
    columns = {"o.class": np.array([[0, 0], [2, 0], [1, 0]]), "o.mask": np.array([[True, False]] * 3)}
    order = {"train": np.array([0, 1]), "valid": np.zeros(0, int), "test": np.array([2])}
    spec = DataSpec(Levels((1, 2, 2), 2), {"o": field})
    with pytest.raises(DataError, match=r"o\.class: test items have 'cow', which no training item has"):
        refitted(spec, ["o"], columns, order)
    refit = refitted(spec, ["o"], columns, order | {"train": np.array([0, 1, 2])} | {"test": np.array([1])})
    assert refit.spec == spec
    refit = refitted(spec, ["o"], columns, order | {"test": np.array([1])})
    assert refit.changes["o.class"](columns["o.class"])[:2].tolist() == [[0, 0], [1, 0]]  # padding was class 0
