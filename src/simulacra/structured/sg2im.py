r"""From a scene graph to a picture: min_G max_D of the games of pictures and of objects, with E |b̂ - b| and E |x - G|.

A graph convolution gives each object a vector, of which its box and its mask follow; the vectors spread over these are
a layout, and the layout is refined into a picture. One critic looks at patches of the picture, another at each object
by itself and at what it is. In training the boxes of the data shape the layout, and their masks where the data have
some; when pictures are drawn, boxes and masks that are not given are predicted.
Johnson et al. 2018, "Image Generation from Scene Graphs".
"""

from __future__ import annotations

from simulacra.adversarial.games import Game, NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.pairs import L1
from simulacra.data.spec import DataSpec
from simulacra.networks import Critic, Generator, LayoutGenerator, PatchCritic, Unconditional
from simulacra.nn.graph import scene_graph
from simulacra.registry import register
from simulacra.structured.objects import Boxes, Masks, Objects
from simulacra.structured.pix2pix import TRAINING


@register(
    "sg2im",
    paper="Johnson et al. 2018, Image Generation from Scene Graphs",
    defaults=TRAINING,
)
def sg2im(
    spec: DataSpec,
    latent: int = 16,
    generator: Generator = LayoutGenerator(),  # noqa: B008 (parts are immutable)
    critic: Critic = PatchCritic(),  # noqa: B008
    game: Game = NonSaturating(),  # noqa: B008
    weight: float = 10.0,
    boxes: Boxes = Boxes(),  # noqa: B008
    objects: Objects = Objects(),  # noqa: B008
    masks: Masks = Masks(),  # noqa: B008
) -> GAN:
    """Objects in boxes and with masks, a cascade from their layout, critics of patches and of objects.

    Args:
        spec: what x is, images from 8×8 up, and the graph: a list of objects with a box each, and a list of relations
            between them, which may be missing.
        latent: numbers in a code z ~ N(0, I).
        generator: layout.
        critic: patch, at one or several scales.
        game: of the two.
        weight: of the distance to the picture of the graph.
        boxes: how predicted boxes are held to those of the data.
        objects: the critic of single objects.
        masks: how predicted masks are held to those of the data, where objects have some.
    """
    graph = scene_graph(spec.condition)
    penalties = L1(weight), boxes, objects, *((masks,) if graph is not None and graph.has_masks else ())
    return GAN(spec, latent, generator, critic, game, penalties, Unconditional())
