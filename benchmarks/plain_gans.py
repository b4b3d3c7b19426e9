"""SNGAN and StyleGAN2 in plain PyTorch, from the papers, in the way in which libraries of GANs have them.

The same layers as those of the presets `sngan` and `stylegan2`, as wide: spectral norm by torch's parametrisation,
nearest upsampling before a convolution and average pooling behind one, the filter of StyleGAN2 as a depthwise
convolution, and modulated convolutions in either of two ways: as grouped ones with weights of each item, as the paper
and most libraries have them, or with scaled inputs and outputs. A step is written out by hand: no guard, no
log, no draws that two processes could share. Players are frozen in turn, and images for the critic are made without
gradients, which not all libraries do.

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", appendix B; Karras et al. 2020,
"Analyzing and Improving the Image Quality of StyleGAN", section 2 and appendix B.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Step = Callable[[Sequence[Tensor]], None]  # of items in [-1, 1], a batch for each update of the critic


# SNGAN


class UpBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)])
        self.first, self.second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(F.interpolate(F.relu(self.norms[0](x)), scale_factor=2))
        h = self.second(F.relu(self.norms[1](h)))
        return h + self.shortcut(F.interpolate(x, scale_factor=2))


class SNGenerator(nn.Module):
    """Channels from the coarsest map, 4×4, to the image."""

    def __init__(self, latent: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.enter = nn.Linear(latent, 16 * channels[0])
        self.blocks = nn.Sequential(*(UpBlock(*pair) for pair in itertools.pairwise(channels)))
        self.norm, self.last = nn.BatchNorm2d(channels[-1]), nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.blocks(self.enter(z).view(len(z), -1, 4, 4))
        return torch.tanh(self.last(F.relu(self.norm(h))))


class DownBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, halve: bool, first: bool) -> None:
        super().__init__()
        self.halve, self.begins = halve, first
        self.first = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))
        learned = halve or inputs != outputs
        self.shortcut = spectral_norm(nn.Conv2d(inputs, outputs, 1)) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(F.relu(self.first(x if self.begins else F.relu(x))))
        if not self.halve:
            return h + self.shortcut(x)
        if self.begins:
            return F.avg_pool2d(h, 2) + self.shortcut(F.avg_pool2d(x, 2))
        return F.avg_pool2d(h, 2) + F.avg_pool2d(self.shortcut(x), 2)


class SNCritic(nn.Module):
    """Channels from the image on, one for each block, the first `halvings` of which halve the image."""

    def __init__(self, channels: Sequence[int], halvings: int) -> None:
        super().__init__()
        pairs = zip([3, *channels], channels, strict=False)
        self.blocks = nn.Sequential(*(DownBlock(*pair, i < halvings, i == 0) for i, pair in enumerate(pairs)))
        self.score = spectral_norm(nn.Linear(channels[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.score(F.relu(self.blocks(x)).sum((2, 3))).squeeze(1)


def sngan(side: int, width: int, latent: int, critic_steps: int) -> tuple[nn.Module, nn.Module, Step]:
    """The networks for CIFAR-10 up to 32×32, those for ImageNet above, with one block less for each size below 128."""
    if side <= 32:
        generator = SNGenerator(latent, [2 * width] * (1 + int(math.log2(side // 4))))
        critic = SNCritic([width] * 4, 2)
    else:
        channels = [width << i for i in range(1 + int(math.log2(side // 4)))]
        generator, critic = SNGenerator(latent, channels[::-1]), SNCritic(channels, len(channels) - 1)
    for module in (*generator.modules(), *critic.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.zeros_(module.bias)
    adams = [torch.optim.Adam(network.parameters(), 2e-4, (0.0, 0.9)) for network in (generator, critic)]

    def step(batches: Sequence[Tensor]) -> None:
        critic.requires_grad_(True)
        for x in batches[:critic_steps]:
            with torch.no_grad():
                fake = generator(torch.randn(len(x), latent, device=x.device))
            loss = F.relu(1 - critic(x)).mean() + F.relu(1 + critic(fake)).mean()
            update(adams[1], loss)
        critic.requires_grad_(False)
        z = torch.randn(len(batches[0]), latent, device=batches[0].device)
        update(adams[0], -critic(generator(z)).mean())

    return generator, critic, step


def update(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()


# StyleGAN2


class EqualLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * kernel**2), stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class Activation(nn.Module):
    """A bias, the leaky ReLU and √2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias, 0.2) * math.sqrt(2)


class Blur(nn.Module):
    """[1, 3, 3, 1] along both axes, `gain` times, after padding by zeros."""

    kernel: Tensor

    def __init__(self, padding: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", gain * torch.outer(taps, taps))
        self.padding = (*padding, *padding)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.expand(x.shape[1], 1, 4, 4)
        return F.conv2d(F.pad(x, self.padding), kernel, groups=x.shape[1])


class ModulatedConv(nn.Module):
    """A convolution with weights of its own for each item: a grouped one, an item is a group, or by scaling."""

    def __init__(self, inputs: int, outputs: int, kernel: int, latent: int, up: bool, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.style = EqualLinear(latent, inputs, bias=1.0)
        self.scale, self.up, self.demodulate = 1 / math.sqrt(inputs * kernel**2), up, demodulate
        self.blur, self.grouped = Blur((1, 1), gain=4.0), True

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, style, weight = len(x), self.style(w), self.scale * self.weight
        own = weight * style.view(n, 1, -1, 1, 1)
        factor = torch.rsqrt(own.square().sum((2, 3, 4)) + 1e-8) if self.demodulate else None
        if not self.grouped:
            h = self.convolved(x * style.view(n, -1, 1, 1), weight, 1)
            return h if factor is None else h * factor.view(n, -1, 1, 1)
        if factor is not None:
            own = own * factor.view(n, -1, 1, 1, 1)
        return self.convolved(x.reshape(1, -1, *x.shape[2:]), own, n)

    def convolved(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        """Of weights (groups, O, I, k, k)."""
        outputs = weight.shape[1]
        if not self.up:
            x = F.conv2d(x, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=groups)
            return x.view(-1, outputs, *x.shape[2:])
        x = F.conv_transpose2d(x, weight.transpose(1, 2).flatten(0, 1), stride=2, groups=groups)
        return self.blur(x.view(-1, outputs, *x.shape[2:]))


class StyledLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int, latent: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, latent, up, True)
        self.strength, self.activation = nn.Parameter(torch.zeros(1)), Activation(outputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        h = self.conv(x, w)
        noise = torch.randn(len(h), 1, *h.shape[2:], device=h.device)
        return self.activation(h + self.strength * noise)


class ToImage(nn.Module):
    def __init__(self, inputs: int, latent: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, latent, False, False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.blur = Blur((2, 1), gain=4.0)

    def forward(self, h: Tensor, w: Tensor, before: Tensor | None = None) -> Tensor:
        x = self.conv(h, w) + self.bias
        if before is None:
            return x
        large = before.new_zeros(*before.shape[:2], 2 * before.shape[2], 2 * before.shape[3])
        large[:, :, ::2, ::2] = before
        return x + self.blur(large)


class StyleGenerator(nn.Module):
    """Channels from the coarsest map, 4×4, to the image."""

    mean: Tensor

    def __init__(self, latent: int, channels: Sequence[int], mapping: int, rate: float) -> None:
        super().__init__()
        self.mapping = nn.ModuleList(EqualLinear(latent, latent, rate=rate) for _ in range(mapping))
        self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        pairs = list(itertools.pairwise(channels))
        self.up = nn.ModuleList(StyledLayer(*pair, latent, up=True) for pair in pairs)
        self.convs = nn.ModuleList(StyledLayer(count, count, latent) for count in channels)
        self.images = nn.ModuleList(ToImage(count, latent) for count in channels)
        self.layers = 2 * len(channels)
        self.register_buffer("mean", torch.zeros(latent))

    def styles(self, z: Tensor) -> Tensor:
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2) * math.sqrt(2)
        return w

    def synthesis(self, w: Tensor) -> Tensor:
        """w (N, layers, latent)"""
        h = self.convs[0](self.constant.expand(len(w), -1, -1, -1), w[:, 0])
        x = self.images[0](h, w[:, 1])
        for level in range(1, len(self.images)):
            h = self.convs[level](self.up[level - 1](h, w[:, 2 * level - 1]), w[:, 2 * level])
            x = self.images[level](h, w[:, 2 * level + 1], x)
        return x

    def forward(self, z: Tensor) -> Tensor:
        w = self.styles(z)
        self.mean.lerp_(w.detach().mean(0), 0.005)
        w = w[:, None].repeat(1, self.layers, 1)
        if torch.rand(()) < 0.9:  # style mixing
            cut = int(torch.randint(1, self.layers, ()))
            w = torch.cat([w[:, :cut], self.styles(torch.randn_like(z))[:, None].repeat(1, self.layers - cut, 1)], 1)
        return self.synthesis(w)


class StyleDown(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Sequential(EqualConv(inputs, inputs, 3, padding=1), Activation(inputs))
        self.second = nn.Sequential(Blur((2, 2)), EqualConv(inputs, outputs, 3, stride=2), Activation(outputs))
        self.shortcut = nn.Sequential(Blur((1, 1)), EqualConv(inputs, outputs, 1, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.second(self.first(x)) + self.shortcut(x)) / math.sqrt(2)


class StyleCritic(nn.Module):
    """Channels from the image to the coarsest map, 4×4."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        last, pairs = channels[-1], itertools.pairwise(channels)
        image = nn.Sequential(EqualConv(3, channels[0], 1), Activation(channels[0]))
        self.body = nn.Sequential(image, *(StyleDown(*pair) for pair in pairs))
        self.conv = nn.Sequential(EqualConv(last + 1, last, 3, padding=1), Activation(last))
        self.linear, self.score = EqualLinear(16 * last, last), EqualLinear(last, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        groups = h.view(4, -1, *h.shape[1:])
        deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        plane = deviation.repeat(4).view(-1, 1, 1, 1).expand(-1, 1, *h.shape[2:])
        h = self.conv(torch.cat([h, plane], 1)).flatten(1)
        return self.score(F.leaky_relu(self.linear(h), 0.2) * math.sqrt(2)).squeeze(1)


def stylegan2(
    side: int, width: int, widest: int, latent: int, mapping: int, grouped: bool
) -> tuple[nn.Module, nn.Module, Step]:
    """R1 of weight 1 in every 16th step, path lengths in every 8th, averaged weights."""
    channels = [min(widest, width << i) for i in range(1 + int(math.log2(side // 4)))]
    generator, critic = StyleGenerator(latent, channels[::-1], mapping, 0.01), StyleCritic(channels)
    for module in generator.modules():
        if isinstance(module, ModulatedConv):
            module.grouped = grouped
    average = [tensor.detach().clone() for tensor in (*generator.parameters(), generator.mean)]
    adams = [
        torch.optim.Adam(network.parameters(), 2e-3 * every / (every + 1), (0.0, 0.99 ** (every / (every + 1))))
        for network, every in ((generator, 8), (critic, 16))
    ]
    weight, length, taken = math.log(2) / (math.log(side) - math.log(2)), torch.zeros(()), 0

    def step(batches: Sequence[Tensor]) -> None:
        nonlocal length, taken
        x = batches[0]
        critic.requires_grad_(True)
        with torch.no_grad():
            fake = generator(torch.randn(len(x), latent, device=x.device))
        update(adams[1], F.softplus(-critic(x)).mean() + F.softplus(critic(fake)).mean())
        if taken % 16 == 0:
            at = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
            update(adams[1], 16 * 0.5 * gradient.square().sum((1, 2, 3)).mean())
        critic.requires_grad_(False)
        update(adams[0], F.softplus(-critic(generator(torch.randn(len(x), latent, device=x.device)))).mean())
        if taken % 8 == 0:
            w = generator.styles(torch.randn(len(x), latent, device=x.device))[:, None].repeat(1, generator.layers, 1)
            image = generator.synthesis(w)
            noise = torch.randn_like(image) / side
            (gradient,) = torch.autograd.grad((image * noise).sum(), w, create_graph=True)
            lengths = gradient.square().sum(2).mean(1).sqrt()
            length = length.to(x.device).lerp(lengths.detach().mean(), 0.01)
            update(adams[0], 8 * weight * (lengths - length).square().mean())
        with torch.no_grad():
            for mean, tensor in zip(average, (*generator.parameters(), generator.mean), strict=True):
                mean.lerp_(tensor, 0.005)
        taken += 1

    return generator, critic, step
