"""Sentences: padding and batch mates change nothing, word order does; attention weighs the words that are there."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Tokens
from simulacra.nn import Attend, CrossAttention, Text, refuse_without_text
from simulacra.nn.cross_attention import weights
from simulacra.nn.text import Sentences, turned

WORDS = tuple("abcdef")


def sentences(*rows: str, most: int = 5) -> torch.Tensor:
    return torch.tensor([[WORDS.index(w) for w in row] + [-1] * (most - len(row)) for row in rows])


@pytest.fixture
def reader() -> Sentences:
    torch.manual_seed(0)
    return Sentences(len(WORDS), 6).double()


def test_room_for_more_words_changes_no_feature(reader):
    short, long = reader(sentences("abc", "f", "edcba")), reader(sentences("abc", "f", "edcba", most=9))
    torch.testing.assert_close(long.words[:, :5], short.words, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(long.sentence, short.sentence, rtol=1e-12, atol=1e-12)
    assert not long.words[:, 5:].any()
    assert not long.mask[:, 5:].any()


def test_each_sentence_is_read_by_itself_and_one_without_words_is_zeros(reader):
    together = reader(sentences("abc", "", "edcba"))
    for i, row in enumerate(("abc", "", "edcba")):
        alone = reader(sentences(row))
        torch.testing.assert_close(alone.words[0], together.words[i], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(alone.sentence[0], together.sentence[i], rtol=1e-12, atol=1e-12)
    assert not together.words[1].any()
    assert not together.sentence[1].any()


def test_words_know_what_is_on_both_sides_of_them_and_the_sentence_their_order(reader):
    read = reader(sentences("abc", "abd", "ebc", "cba")).words
    half = read.shape[2] // 2
    assert torch.equal(read[0, 1, :half], read[1, 1, :half])
    assert not torch.equal(read[0, 1, half:], read[1, 1, half:])
    assert torch.equal(read[0, 1, half:], read[2, 1, half:])
    assert not torch.equal(read[0, 1, :half], read[2, 1, :half])
    of = reader(sentences("abc", "cba")).sentence
    assert (of[0] - of[1]).abs().max() > 1e-3


def test_a_sentence_is_turned_within_its_own_length():
    assert turned(sentences("abc", "", "abcde") >= 0).tolist() == [[2, 1, 0, 3, 4], [0, 1, 2, 3, 4], [4, 3, 2, 1, 0]]


def test_fields_of_words_stand_one_after_the_other():
    torch.manual_seed(0)
    fields = {"one": Tokens(WORDS, 3), "label": ClassLabel(2), "other": Tokens(WORDS[:2], 4)}
    given = {"one": sentences("ab", most=3), "label": torch.tensor([1]), "other": sentences("b", most=4)}
    read = Text(fields, 4)(given)
    assert read.words.shape == (1, 7, 4)
    assert read.mask.tolist() == [[True, True, False, True, False, False, False]]


def test_weights_sum_to_one_over_words_that_are_there():
    torch.manual_seed(0)
    queries, keys = torch.randn(3, 4, 5), 50 * torch.randn(3, 6, 5)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4, [False] * 6])
    alpha = weights(queries, keys, mask)
    torch.testing.assert_close(alpha[:2].sum(2), torch.ones(2, 4))
    assert not alpha[1, :, 2:].any()
    assert not alpha[2].any()
    torch.testing.assert_close(alpha[1, :, :2], torch.softmax(queries[1] @ keys[1, :2].T / 5**0.5, dim=1))


def test_what_stands_behind_the_words_is_not_read():
    torch.manual_seed(0)
    attention, h, words = CrossAttention(4, 6), torch.randn(2, 4, 3, 2), torch.randn(2, 5, 6)
    mask = torch.arange(5) < torch.tensor([[3], [5]])
    other = torch.where(mask.unsqueeze(2), words, 7.0)
    assert torch.equal(attention(h, words, mask), attention(h, other, mask))
    assert not torch.equal(attention(h, words, mask)[1], attention(h, words.flip(0), mask)[1])


def test_attention_has_first_and_second_derivatives():
    torch.manual_seed(0)
    attend = Attend(2, 3, 2).double()
    h, words = torch.randn(2, 2, 2).double().requires_grad_(), torch.randn(2, 3, 3).double().requires_grad_()
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert gradcheck(lambda a, b: attend(a, b, mask), (h, words))
    assert gradgradcheck(lambda a, b: attend(a, b, mask), (h, words))


def test_what_is_refused():
    with pytest.raises(UsageError, match="an even number, not 5"):
        Sentences(3, 5)
    with pytest.raises(UsageError, match="reads a condition of words, not 'label': add a field of tokens"):
        refuse_without_text({"label": ClassLabel(2)}, "it")
