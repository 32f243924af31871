import dataclasses
import re

import pytest

from landmarks_tf.commands import train
from landmarks_tf.config import ExportConfig
from landmarks_tf.config import TrainConfig
from landmarks_tf.errors import InvalidInput
from landmarks_tf.recipes import RECIPES

CHOICES = [
    f.name for f in dataclasses.fields(TrainConfig) if f.metadata["limit"].choices
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", -1),
        ("image_size", 63),
        ("batch_size", 0),
        ("epochs", 0),
        ("network_size", -1),
        ("network_size", 32),
        ("network_size", 300),
        ("network_size", 1600),
        ("training_sizes", (96, 63)),
        ("training_sizes", tuple(range(96, 127))),
        ("training_sizes", (96, 128, 96)),
        ("weight_decay", -0.1),
        ("fine_tuning_epochs", -1),
        ("fine_tuning_epochs", 1),
        ("fine_tuning_from", "block_13_expand"),
        ("fine_tuning_learning_rate", 0.0),
        ("label_smoothing", 1.0),
        ("warmup_epochs", -1),
        ("warmup_epochs", 3),
        ("patience_epochs", 0),
        ("learning_rate", 0.0),
        ("seed", -1),
        ("validation_fraction", 0.0),
        ("test_fraction", 1.0),
        ("min_accuracy", 1.5),
        *((name, "other") for name in CHOICES),
    ],
)
def test_refuses_a_value_and_says_which(name, value):
    message = f"^`{name}` must be .*Received: {name}={re.escape(str(value))}$"
    with pytest.raises(InvalidInput, match=message):
        TrainConfig(**{name: value})


def test_transfer_takes_images_that_six_poolings_do_not():
    assert TrainConfig(model="transfer", image_size=32).image_size == 32


def test_a_warm_up_is_of_a_cosine_and_ends_before_it():
    for schedule, warmup in [("constant", 1), ("cosine", 30)]:
        with pytest.raises(InvalidInput, match="^`warmup_epochs` must be 0, or less"):
            TrainConfig(learning_rate_schedule=schedule, warmup_epochs=warmup)
    assert TrainConfig(learning_rate_schedule="cosine", warmup_epochs=29)


def test_a_transfer_model_that_is_not_fine_tuned_is_trained_on_features():
    for name, value in [("network_size", 400), ("mixing", "cutmix_mixup")]:
        with pytest.raises(InvalidInput, match=f"^`{name}` must be .* with a transfer"):
            TrainConfig(model="transfer", **{name: value})


def test_fine_tuning_takes_other_sizes():
    values = {"training_sizes": (96,), "fine_tuning_from": "block_13_expand"}
    options = TrainConfig(
        model="transfer",
        image_size=128,
        augmentation="crop_flip_color",
        fine_tuning_epochs=2,
        **values,
    )
    assert options.fine_tuning.epoch_sizes == (96, 96)
    assert options.fitted_size == 128
    # What is said of the second stage may stand where it is left out.
    no_second = {"augmentation": "none", "fine_tuning_epochs": 0}
    assert dataclasses.replace(options, **no_second).training_sizes == (96,)
    with pytest.raises(InvalidInput, match="no more than there are epochs"):
        dataclasses.replace(options, training_sizes=(96, 112, 128))


def test_training_sizes_are_equal_stretches_of_the_epochs():
    def sizes(**values):
        return TrainConfig(
            image_size=800, network_size=160, augmentation="crop_flip_color", **values
        ).epoch_sizes

    assert sizes(epochs=3) == (160, 160, 160)
    three = (96, 128, 192)
    assert sizes(epochs=6, training_sizes=three) == (96, 96, 128, 128, 192, 192)
    assert sizes(epochs=4, training_sizes=three) == (96, 96, 128, 192)


def test_training_sizes_are_of_views_and_need_global_pooling():
    with pytest.raises(InvalidInput, match="with a preset that flattens"):
        TrainConfig(
            preset="reference", augmentation="crop_flip_color", training_sizes=(96,)
        )
    with pytest.raises(InvalidInput, match="with augmentation=none"):
        TrainConfig(training_sizes=(96,))


def test_the_last_tenth_of_the_epochs_is_not_mixed():
    assert TrainConfig(epochs=30).num_mixed_epochs == 0
    assert TrainConfig(epochs=30, mixing="cutmix_mixup").num_mixed_epochs == 27


def test_parts_of_photos_are_decoded_at_twice_the_size():
    def decoded_size(**values):
        return TrainConfig(**values).decoded_size

    assert decoded_size() == 800
    assert decoded_size(network_size=200) == 200
    assert decoded_size(network_size=200, augmentation="crop_flip_color") == 400
    sizes = {"network_size": 200, "training_sizes": (96, 160)}
    assert decoded_size(augmentation="crop_flip_color", **sizes) == 320
    assert decoded_size(network_size=800, augmentation="crop_flip_color") == 800
    assert decoded_size(image_size=224, augmentation="crop_flip_color") == 448
    assert decoded_size(image_size=1600, augmentation="crop_flip_color") == 1600


def test_an_augmented_transfer_model_is_fine_tuned():
    wanted = "^`augmentation` must be 'none' without fine-tuning: MobileNetV2 sees each"
    with pytest.raises(InvalidInput, match=wanted):
        TrainConfig(model="transfer", augmentation="crop_flip_color")
    assert TrainConfig(
        model="transfer", augmentation="crop_flip_color", fine_tuning_epochs=1
    )


def test_fine_tuning_is_a_run_of_its_own_length_and_rate():
    options = TrainConfig(
        model="transfer", epochs=30, fine_tuning_epochs=5, label_smoothing=0.1
    )
    stage = options.fine_tuning
    assert (stage.epochs, stage.warmup_epochs) == (5, 1)
    assert stage.learning_rate == options.fine_tuning_learning_rate
    assert stage.learning_rate_schedule == "cosine"
    assert stage.label_smoothing == 0.1


def test_every_field_has_a_flag_with_its_default_and_help():
    for field in dataclasses.fields(TrainConfig):
        flag = train.FLAGS[field.name]
        default = flag.default
        is_list = isinstance(default, list)
        assert (tuple(default) if is_list else default) == field.default
        text = field.metadata["help"]
        assert text[0].isupper() and text.endswith(".") and text in flag.help


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_keeps_to_the_limits(name):
    config = TrainConfig.recipe(name, seed=7)
    assert config.seed == 7
    for setting, value in RECIPES[name].items():
        assert getattr(config, setting) == value


def test_an_unknown_recipe_or_format_is_refused():
    with pytest.raises(InvalidInput, match="^`recipe` must be one of .*=quickstrat$"):
        TrainConfig.recipe("quickstrat")
    wanted = "^`formats` must be of saved_model,float32,.*float12"
    with pytest.raises(InvalidInput, match=wanted):
        ExportConfig(formats=("float32", "float12"))


def resolve(*arguments):
    """Returns the settings and the recipe that train.py takes for a command."""
    train.FLAGS.unparse_flags()
    train.FLAGS(["train", *arguments])
    return train.choose_config()


@pytest.mark.parametrize(
    ("arguments", "recipe"),
    [
        (["--data_dir=photos"], "mobile"),
        ([], "quickstart"),
        (["--recipe=scratch"], "scratch"),
        (["--data_dir=photos", "--seed=3"], "mobile"),
    ],
)
def test_a_command_without_a_network_takes_a_recipe(arguments, recipe):
    config, taken = resolve(*arguments)
    assert taken == recipe
    changed = {"seed": 3} if "--seed=3" in arguments else {}
    assert config == TrainConfig.recipe(recipe, **changed)


def test_flags_change_a_recipe_whatever_their_order():
    config, _ = resolve(
        *("--training_sizes=64", "--formats=float32", "--recipe=mobile"),
        "--training_sizes=96",
    )
    assert config == TrainConfig.recipe(
        "mobile", training_sizes=(64, 96), formats=("float32",)
    )
    assert config.fine_tuning_epochs == 12


def test_a_command_with_a_network_of_its_own_takes_no_recipe():
    config, taken = resolve("--model=scratch", "--data_dir=photos")
    assert (config, taken) == (TrainConfig(), "")
