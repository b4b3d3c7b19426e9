r"""A history of generated items: the critic learns from the generator's past as well as from its present.

    an empty place    takes the item, and the critic sees the item
    a full one        with probability ½ the critic sees the item; else what lies there, and the item takes its place

So a critic does not forget what it has refused before. Shrivastava et al. 2017, "Learning from Simulated and
Unsupervised Images through Adversarial Training", 2.3; in place of their order each item of a batch has a place of its
own, at random, so that no item depends on another one and processes may share the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.data.spec import DataSpec
from simulacra.networks import form_of


class Pool(nn.Module):
    """Items as a generator makes them, of domains (N,) -> what the critic sees; the history is saved with a model.

    items:  (domains, size, *shape), on the grid.
    filled: (domains, size), whether an item lies there.
    """

    items: Tensor
    filled: Tensor

    def __init__(self, spec: DataSpec, domains: int, size: int) -> None:
        super().__init__()
        self.form, self.size = form_of(spec), size
        self.register_buffer("items", torch.zeros(domains, size, *spec.shape, dtype=torch.uint8))
        self.register_buffer("filled", torch.zeros(domains, size, dtype=torch.bool))

    @torch.no_grad()
    def forward(self, made: Tensor, domain: Tensor) -> Tensor:
        """Rounded to the grid, as real items are. Of a batch of more items than there are places the rest is shown as
        it is."""
        numbers, total = whole.numbers(len(made), made.device)
        common = whole.common(made.device)
        places = torch.randperm(self.size, generator=common, device=made.device)
        older = torch.rand(total, generator=common, device=made.device) < 0.5
        new, of, number = (whole.gathered(own.float()) for own in (self.form.items(made), domain, numbers))
        new, seen, of, number = new.byte(), new.byte(), of.long(), number.long()
        some = (number < self.size).nonzero().flatten()
        at = of[some], places[number[some]]
        old, swapped = self.items[at], self.filled[at] & older[number[some]]
        wide = swapped.view(-1, *[1] * (made.dim() - 1))
        seen[some] = torch.where(wide, old, new[some])
        if self.training:
            self.items[at] = torch.where(wide | ~self.filled[at].view_as(wide), new[some], old)
            self.filled[at] = True
        return self.form(whole.own(seen))
