"""Names of models: found, suggested, and never given twice; classes, presets and models from outside."""

import sys
import types

import pytest
from small import SPECS

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN, NonSaturating, dcgan
from simulacra.data import ClassLabel, DataSpec, Levels
from simulacra.errors import UsageError
from simulacra.latent import ELBO, VAE
from simulacra.model import Model, load, save
from simulacra.networks import DCCritic, DCGenerator, Dense
from simulacra.schema import alternatives

GREY = SPECS["grey"]
PIXELS = {"gated-pixelcnn", "pixelcnn", "pixelcnn++", "pixelrnn-diagonal", "pixelrnn-row", "pixelsnail"}
PRESETS = {"vqvae2", "independent", "dcgan", "lsgan", "wgan", "wgan-gp", "sngan", "sagan", "cgan", "biggan"} | PIXELS
PRESETS |= {"infogan", "acgan", "r3gan", "progan", "stylegan", "stylegan2"}
PRESETS |= {"videogan"}
PRESETS |= {"pix2pix", "srgan", "puzzle-gan", "text2image", "sg2im"}


@pytest.fixture
def own(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_entries", {entry.name: entry for entry in registry.models()})


def test_every_entry_is_complete():
    for entry in registry.models():
        assert registry.find(entry.name) is entry
        assert registry.find(registry.name_of(entry.model)).build is entry.model
        assert entry.family in ("autoregressive", "latent", "adversarial", "sequences", "structured")
        assert entry.paper
        assert entry.build.__doc__
        assert all(argument.help for argument in entry.arguments.values()), entry.name


def test_an_entry_is_a_class_or_a_preset_that_returns_one():
    made = {entry.name for entry in registry.models() if not isinstance(entry.build, type)}
    assert made == PRESETS
    for entry in registry.models():
        assert issubclass(entry.model, Model)
        if entry.name not in PRESETS:
            assert registry.name_of(entry.model) == entry.name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UsageError, match=r"no model 'gated-pixelcn'. Did you mean 'gated-pixelcnn'"):
        registry.find("gated-pixelcn")
    with pytest.raises(UsageError, match=r"Known: aae, .*dcgan, .*markov, .*vae"):
        registry.find("zzzzzz")


@pytest.mark.parametrize("name", ["vae", "dcgan"])
def test_two_models_cannot_share_a_name(name):
    before = registry.find(name)
    with pytest.raises(ValueError, match=f"two models are called '{name}'"):
        registry.register(name, paper="none")(type("Other", (VAE,), {}))

    def other(spec: DataSpec) -> VAE:
        return VAE(spec)

    with pytest.raises(ValueError, match=f"two models are called '{name}'"):
        registry.register(name, paper="none")(other)
    assert registry.find(name) is before


def test_a_class_that_is_not_registered_says_how_to():
    class Nameless(Model):
        def phases(self):
            return []

    with pytest.raises(UsageError, match="@register"):
        Nameless(SPECS["grey"]).config()
    assert Nameless(SPECS["grey"]).name == "Nameless"


# Presets


@pytest.mark.usefixtures("own")
def test_a_preset_is_a_function_and_what_is_saved_is_its_class_and_parts(tmp_path):
    @sim.register("beta-vae", paper="Higgins et al. 2017", defaults={"batch": 64})
    def beta_vae(spec: DataSpec, beta: float = 4.0) -> VAE:
        """A VAE with a heavier KL.

        Args:
            beta: its weight.
        """
        return VAE(spec, latent=2, network=Dense(hidden=8), objective=ELBO(beta))

    entry = registry.find("beta-vae")
    assert entry.model is VAE
    assert entry.defaults == {**registry.find("vae").defaults, "batch": 64}
    assert {name: argument.help for name, argument in entry.arguments.items()} == {"beta": "its weight"}
    model = registry.build("beta-vae", GREY, beta=6)
    assert (model.name, model.preset, model.objective) == ("beta-vae", "beta-vae", ELBO(6.0))
    assert model.recipe == VAE(GREY, latent=2, network=Dense(hidden=8), objective=ELBO(6.0)).recipe
    assert list(model.config()["model"]) == ["vae"]
    save(model, tmp_path)
    registry._entries.pop("beta-vae")  # a model needs its preset no more
    again = load(tmp_path)
    assert (again.name, again.objective.beta) == ("beta-vae", 6.0)


def test_a_preset_is_its_class_composed_by_hand():
    preset, composed = dcgan(GREY, latent=5, width=4), GAN(GREY, 5, DCGenerator(4), DCCritic(4), NonSaturating(), ())
    assert preset.recipe == composed.recipe
    assert (preset.name, composed.name) == ("dcgan", "gan")
    assert type(preset) is GAN


def test_a_preset_says_which_class_it_returns():
    def silent(spec):
        return VAE(spec)

    with pytest.raises(ValueError, match=r"preset 'silent' must say what it returns: def silent\(spec, ...\) -> Model"):
        registry.register("silent", paper="none")(silent)


@pytest.mark.usefixtures("own")
def test_a_variant_has_all_arguments_of_its_class_and_some_other_defaults():
    build = registry.variant("wide-vae", VAE, paper="none", latent=64)
    own, base = registry.find("wide-vae").arguments, registry.find("vae").arguments
    assert own.keys() == base.keys()
    assert {name for name in own if own[name].default != base[name].default} == {"latent"}
    assert {name for name in own if own[name].help != base[name].help} == set()
    assert build(GREY).latent == 64
    assert build(GREY, latent=3).latent == 3
    assert build(GREY).name == "wide-vae"


# From outside


@pytest.mark.usefixtures("own")
def test_a_model_from_elsewhere_is_of_the_family_that_it_derives_from_or_a_plug_in():
    module = types.ModuleType("mine")
    exec(
        "import simulacra as sim\nfrom simulacra.latent import VAE\nfrom simulacra.adversarial import GAN\n"
        "class Mine(sim.Model):\n    'A model.'\n    def phases(self): return []\n"
        "class Own(VAE):\n    'A VAE.'\n"
        "def game(spec) -> GAN:\n    'A GAN.'\n    return GAN(spec)\n",
        vars(module),
    )
    sys.modules["mine"] = module
    try:
        sim.register("mine", paper="a test")(module.Mine)
        sim.register("own", paper="a test")(module.Own)
        sim.register("game", paper="a test")(module.game)
        families = {name: registry.find(name).family for name in ("mine", "own", "game")}
        assert families == {"mine": "plug-in (mine)", "own": "latent", "game": "adversarial"}
        assert "mine" in {entry.name for entry in sim.models()}
        assert module.Mine(GREY).config()["imports"] == ["mine"]
    finally:
        del sys.modules["mine"]


def test_a_class_defined_again_takes_its_own_name_again(own):
    """As in a notebook, whose cell is run twice."""
    for _ in range(2):

        @sim.register("again", paper="a test")
        class Again(Model):
            def phases(self):
                return []

    assert registry.find("again").build is Again


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"stepz": 3}, "defaults of model 'mine': there is no option 'stepz'. Did you mean 'steps'"),
        ({"steps": 0}, "defaults of model 'mine': steps must be positive, not 0"),
        ({"augment": "flp"}, "defaults of model 'mine': there is no augmentation 'flp'. Did you mean 'flip'"),
    ],
)
def test_training_options_that_do_not_exist_are_refused_when_a_model_is_registered(defaults, message):
    with pytest.raises(UsageError, match=message):

        @sim.register("mine", paper="a test", defaults=defaults)
        def mine(spec: DataSpec) -> VAE:
            return VAE(spec)

    assert "mine" not in registry._entries


# Arguments


def numbers() -> list[tuple[str, str]]:
    """Every argument of a model that is a number."""
    return [
        (entry.name, argument.name)
        for entry in registry.models()
        for argument in entry.arguments.values()
        if {int, float} & set(alternatives(argument.type))
    ]


@pytest.mark.parametrize(("name", "argument"), numbers())
def test_a_negative_number_is_refused_by_every_model(name, argument):
    spec = DataSpec(Levels((1, 8, 8), 17), {"label": ClassLabel(3)} if name == "m2" else {})
    with pytest.raises(UsageError):
        registry.build(name, spec, **{argument: -5})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VAE(GREY, hidden=8), r"VAE: .*'hidden'. It is an argument of a part: network='dense:hidden=...'"),
        (lambda: GAN(GREY, hidden=8), r"GAN: .*'hidden'. It is an argument of a part: generator='dense:hidden=...'"),
        (lambda: VAE(GREY, components=8), r"VAE: .* part: likelihood='logistic-mixture:components=...'"),
        (lambda: VAE(GREY, widht=8), r"VAE: .*'widht'. Did you mean that of a part: network='conv:width=...'$"),
        (lambda: VAE(GREY, latnt=8), r"VAE: got an unexpected keyword argument 'latnt'$"),
        (lambda: dcgan(GREY, hidden=8), r"dcgan: got an unexpected keyword argument 'hidden'$"),
        (lambda: VAE(GREY, spec=GREY), "VAE: multiple values for argument 'spec'"),
        (lambda: VAE(), "VAE: missing a required argument: 'spec'"),
    ],
)
def test_an_argument_that_a_model_has_not_is_a_type_error_that_says_where_it_is(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_where_an_argument_of_a_part_is():
    assert registry.find("vae").place_of("beta") == " It is an argument of a part: --objective elbo:beta=..."
    places = "--network dense:hidden=... or --network auto:hidden=..."
    assert registry.find("aae").place_of("hidden") == f" It is an argument of a part: {places}"
    assert registry.find("gated-pixelcnn").place_of("beta") == ""
    assert registry.find("vae").place_of("zzz") == ""


def test_a_name_that_is_near_one_of_a_part_is_placed_unless_another_is_nearer():
    vae = registry.find("vae")
    assert vae.place_of("kl_warmup") == " Did you mean that of a part: --objective elbo:warmup=...?"
    assert vae.place_of("kl_warmup", ["warmup"]) == vae.place_of("kl_warmup")  # none is nearer
    assert vae.place_of("componets", ["latent"]).startswith(" Did you mean that of a part: --likelihood logistic-mix")
    assert vae.place_of("latnt", ["latent"]) == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"latent": "four"}, "latent of VAE is an integer, not 'four'"),
        ({"latent": 4.5}, "latent of VAE is an integer, not 4.5"),
        ({"latent": "4"}, "latent of VAE is an integer, not '4'"),
        ({"latent": True}, "latent of VAE is an integer, not True"),
        ({"network": 3}, r"network of VAE is a network, not 3: give .*@part\('network', NAME\)"),
        ({"network": "gaussian"}, "no network 'gaussian'"),
        ({"network": ELBO()}, "network of VAE is a network, and elbo is an objective"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_said_with_its_name(given, message):
    with pytest.raises(UsageError, match=message):
        VAE(GREY, **given)


def test_arguments_are_converted_and_remembered():
    model = VAE(GREY, 3, "dense:hidden=8", prior={"mixture": {"components": 5}})
    assert list(model.arguments) == ["latent", "network", "likelihood", "prior", "objective"]
    assert (model.arguments["latent"], model.arguments["network"]) == (3, Dense(hidden=8))
    assert model.arguments["prior"].components == 5
    assert model.arguments["objective"] == ELBO()
