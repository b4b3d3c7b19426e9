"""ETH/UCY: people filmed from above at five places, one of which is the test split: leave one scene out.

`eth-ucy` tests on zara1; `eth-ucy:test=eth`, `hotel`, `univ`, `zara1` or `zara2` on another one. Training and
validation are the earlier and the later part of all other recordings, cut in time by Social GAN. Read are
all_data/NAME.txt, train/NAME_train.txt and val/NAME_val.txt. Two recordings, zara03 and uni_examples, are in no test
split and in every training split, although they show the places of zara1, zara2 and univ: the usual protocol has it so.
"""

from __future__ import annotations

from pathlib import Path

from simulacra.data.collected import held
from simulacra.data.dataset import Card
from simulacra.data.source import Source
from simulacra.data.walks import walks_source

CARD = Card(
    title="ETH/UCY, people on their ways at five places, in metres, a step every 0.4 s",
    source="https://github.com/abduallahmohamed/Social-STGCNN",
    licence="published for research; no formal licence",
    reference="S. Pellegrini et al., You'll never walk alone, ICCV 2009; A. Lerner et al., Crowds by example, 2007; "
    "split: A. Gupta et al., Social GAN, CVPR 2018",
)
TEST = {
    "eth": ("biwi_eth",),
    "hotel": ("biwi_hotel",),
    "univ": ("students001", "students003"),
    "zara1": ("crowds_zara01",),
    "zara2": ("crowds_zara02",),
}
ALWAYS = ("crowds_zara03", "uni_examples")
USUAL = "zara1"


def eth_ucy_source(scene: str = USUAL) -> Source:
    """scene: that is left out. Raises DataError where a file is missing or damaged."""
    others = sorted({*ALWAYS, *(name for own in TEST.values() for name in own)} - set(TEST[scene]))

    def files(pattern: str, names: tuple[str, ...] | list[str]) -> list[Path]:
        return held("eth-ucy", *(pattern.format(name) for name in names))

    parts = {
        "train": files("train/{}_train.txt", others),
        "valid": files("val/{}_val.txt", others),
        "test": files("all_data/{}.txt", TEST[scene]),
    }
    return walks_source(f"eth-ucy-{scene}", CARD, parts, (f"test={scene}",))
