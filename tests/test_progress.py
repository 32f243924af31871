from landmarks_tf.progress import Event
from landmarks_tf.progress import Progress


def test_a_listener_hears_lines_warnings_and_steps():
    events = []
    progress = Progress(events.append)
    progress.tell("reading")
    progress.warn("skipped a.jpg")
    assert list(progress.track("ab", "photos", 2)) == ["a", "b"]
    assert events == [
        Event("reading"),
        Event("skipped a.jpg", is_warning=True),
        Event("photos", 1, 2),
        Event("photos", 2, 2),
    ]


def test_a_listener_may_be_print_another_progress_or_nobody(capsys):
    Progress(Progress(print)).step("Epoch 1/2", 3, 4)
    Progress().tell("unheard")
    assert capsys.readouterr().out == "Epoch 1/2: 3/4\n"
