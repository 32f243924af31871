import pytest

from landmarks_tf.names import human_names
from landmarks_tf.names import printable
from landmarks_tf.names import suggestion


def test_numbers_and_underscores_are_not_shown():
    names = ["16.Eiffel_Tower", "7.Petra", "Trevi_Fountain", "30_St_Mary_Axe", "12."]
    assert human_names(names) == (
        "Eiffel Tower",
        "Petra",
        "Trevi Fountain",
        "30 St Mary Axe",
        "12.",
    )


def test_classes_that_would_be_shown_alike_keep_their_names():
    names = ["0.Petra", "1.Petra", "2.Uluru", "_"]
    assert human_names(names) == ("0.Petra", "1.Petra", "Uluru", "_")


@pytest.mark.parametrize(
    "names, sentence",
    [
        (["Petra"], "Is this a picture of Petra?"),
        (
            ["Eiffel Tower", "Golden Gate Bridge", "Stonehenge"],
            "Is this a picture of Eiffel Tower, Golden Gate Bridge or Stonehenge?",
        ),
    ],
)
def test_landmarks_are_suggested_in_a_sentence(names, sentence):
    assert suggestion(names) == sentence


def test_a_photo_of_nothing_known_is_said_to_be_one():
    sentence = suggestion(["Atomium", "Petra"], is_known=False)
    assert sentence == (
        "This is no landmark that I know. It is most like Atomium or Petra."
    )


def test_what_moves_a_cursor_or_turns_text_round_is_not_shown():
    text = "a\x1b[31mred\x07\u202egnp.exe\u2028\r"
    assert printable(text) == "a?[31mred??gnp.exe??"
    assert human_names(["3.a\tb\x1b"]) == ("a b?",)
    persian = "\u0645\u06cc\u200c\u062f\u0627\u0646"  # with the joiner it is spelt with
    assert printable(persian) == persian
