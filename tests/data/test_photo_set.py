import re

import pytest

from landmarks_tf.data.photo_set import Photo
from landmarks_tf.data.photo_set import PhotoSet
from landmarks_tf.data.photo_set import find_photos
from landmarks_tf.data.photo_set import list_data_dir
from landmarks_tf.data.photo_set import load_evaluation_photos
from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.errors import InvalidInput


def write(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


@pytest.fixture
def data_dir(tmp_path):
    write(tmp_path, "train/b/2.JPG", "train/b/1.png", "train/a/1.jpeg", "test/a/9.jpg")
    return tmp_path


def test_refuses_a_missing_folder(tmp_path):
    with pytest.raises(InvalidInput, match="^no such folder: `data_dir`=.*nowhere$"):
        load_photos(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="^no such folder: `data_dir`=.*nowhere$"):
        load_evaluation_photos(tmp_path / "nowhere", "test", ["a"])


def test_refuses_a_folder_without_class_folders(tmp_path):
    write(tmp_path, "photo.jpg")
    with pytest.raises(InvalidInput, match="at least two classes. Received: 0 folders"):
        load_photos(tmp_path)


def test_refuses_a_single_class(tmp_path):
    write(tmp_path, "only/photo.jpg")
    with pytest.raises(InvalidInput, match="at least two classes. Received: 1 folders"):
        load_photos(tmp_path)


def test_refuses_an_empty_class(data_dir):
    (data_dir / "train/c").mkdir()
    with pytest.raises(InvalidInput, match="^no photos of class c in "):
        load_photos(data_dir)


def test_refuses_a_test_class_that_training_never_saw(data_dir):
    write(data_dir, "test/z/1.jpg")
    message = re.escape(f"{data_dir}/test/z: training never saw this class")
    with pytest.raises(InvalidInput, match=message):
        load_photos(data_dir)


def test_refuses_test_without_train(tmp_path):
    write(tmp_path, "test/a/1.jpg", "test/b/1.jpg")
    with pytest.raises(InvalidInput, match="has a folder test/ but no folder train/"):
        load_photos(tmp_path)


def test_refuses_a_test_folder_without_photos(data_dir):
    (data_dir / "test/a/9.jpg").unlink()
    with pytest.raises(InvalidInput, match="^no photos in class folders in .*/test$"):
        load_photos(data_dir)


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\udcff"])
def test_refuses_a_name_that_labels_cannot_hold(data_dir, name):
    (data_dir / "train" / name).mkdir()
    (data_dir / "train" / name / "1.jpg").touch()
    message = "^a class name must be UTF-8 without line breaks. Received: 'a"
    with pytest.raises(InvalidInput, match=message) as caught:
        load_photos(data_dir)
    assert str(caught.value).isprintable()


def test_labels_follow_the_sorted_class_names(data_dir):
    photos = load_photos(data_dir)
    assert photos.class_names == ("a", "b")
    assert photos.splits["train"] == (
        ("train/a/1.jpeg", 0),
        ("train/b/1.png", 1),
        ("train/b/2.JPG", 1),
    )
    assert photos.absolute_paths("test") == [f"{data_dir}/test/a/9.jpg"]
    assert photos.labels("train") == [0, 1, 1]


def test_a_class_without_test_photos_keeps_its_label(data_dir):
    photos = load_photos(data_dir)
    assert photos.classes_without("test") == ["b"]
    write(data_dir, "test/b/1.jpg")
    (data_dir / "test/a/9.jpg").unlink()
    assert load_photos(data_dir).labels("test") == [1]


def test_class_folders_may_lie_in_the_folder_itself(tmp_path):
    write(tmp_path, "a/1.jpg", "b/1.jpg")
    photos = load_photos(tmp_path)
    assert [photo.path for photo in photos.splits["train"]] == ["a/1.jpg", "b/1.jpg"]
    assert photos.splits["test"] == ()


def test_other_files_are_told_and_hidden_ones_passed_over(data_dir):
    write(data_dir, "train/a/notes.txt", "train/a/._1.jpg", ".git/x/1.jpg")
    write(data_dir, "train/.cache/1.jpg", "train/a/deeper/1.jpg", "test/a/x.heic")
    photos = load_photos(data_dir)
    visible = ["train/a/deeper/", "train/a/notes.txt", "test/a/x.heic"]
    assert photos.visible_ignored() == visible
    hidden = {path for path in photos.ignored if path not in visible}
    assert hidden == {".git/", "train/.cache/", "train/a/._1.jpg"}
    assert len(photos.all_photos()) == 4


def test_what_lies_beside_the_classes_is_told(data_dir):
    write(data_dir, "loose.jpg", "train/loose.jpg", "validation/a/1.jpg")
    (data_dir / "train" / "Petra").symlink_to("nowhere")
    (data_dir / "train" / "a" / "loop.jpg").symlink_to("loop.jpg")
    photos = load_photos(data_dir)
    expected = {"loose.jpg", "train/loose.jpg", "validation/", "train/Petra"}
    assert set(photos.visible_ignored()) == expected
    assert "train/a/loop.jpg" in [photo.path for photo in photos.splits["train"]]


def test_a_listing_tells_all_that_is_wrong_at_once(data_dir):
    write(data_dir, "test/z/1.jpg")
    (data_dir / "train" / "c").mkdir()
    photos, problems = list_data_dir(data_dir)
    assert photos.class_names == ("a", "b", "c", "z")
    assert problems == [
        f"no photos of class c in {data_dir}",
        f"{data_dir}/test/z: training never saw this class",
    ]


def test_without_leaves_photos_out(data_dir):
    photos = load_photos(data_dir).without({"train/a/1.jpeg"})
    assert photos.labels("train") == [1, 1]
    with pytest.raises(InvalidInput, match="^no photos of class a in "):
        photos.require_all_classes("train")


def test_evaluation_takes_the_labels_of_training(tmp_path):
    write(tmp_path, "one/c/1.jpg", "two/test/a/1.jpg", "two/other/x.jpg")
    names = ("a", "b", "c")
    own_folder = load_evaluation_photos(tmp_path / "one", "test", names)
    assert own_folder.splits["test"] == (("c/1.jpg", 2),)
    split_folder = load_evaluation_photos(tmp_path / "two", "test", names)
    assert split_folder.splits["test"] == (("test/a/1.jpg", 0),)


def test_evaluation_refuses_no_photos(tmp_path):
    with pytest.raises(InvalidInput, match="^no photos in class folders in "):
        load_evaluation_photos(tmp_path, "test", ["a"])


def test_draws_as_many_photos_of_each_class_as_can_be(tmp_path):
    names = ["0.a", "1.b", "2.c"]
    rows = [
        Photo(f"{names[label]}/{index}.jpg", label)
        for label, count in enumerate([3, 1, 2])
        for index in range(count)
    ]
    photos = PhotoSet(tmp_path, tuple(names), {"train": tuple(rows)})

    def draw(num_photos):
        drawn = photos.draw_evenly("train", num_photos)
        assert drawn.data_dir == tmp_path
        return [photo.path for photo in drawn.splits["train"]]

    assert draw(2) == ["0.a/0.jpg", "1.b/0.jpg"]
    assert draw(5) == ["0.a/0.jpg", "1.b/0.jpg", "2.c/0.jpg", "0.a/1.jpg", "2.c/1.jpg"]
    assert len(draw(100)) == 6


def test_hidden_files_and_folders_are_no_photos(tmp_path):
    (tmp_path / "album.jpg").mkdir()
    for name in ("._a.jpg", "a.jpg", "notes.txt", "album.jpg/B.PNG"):
        (tmp_path / name).write_text("")
    found = find_photos([str(tmp_path)])
    assert [path.name for path in found] == ["a.jpg", "B.PNG"]


def test_a_pattern_is_all_that_fits_it(tmp_path):
    for name in ("1/a.jpg", "1/b.txt", "2/c.jpg", "[odd].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")

    def find(pattern):
        return [path.name for path in find_photos([tmp_path / pattern])]

    assert find("*/*") == ["a.jpg", "b.txt", "c.jpg"]
    assert find("**/c*") == ["c.jpg"]
    assert find("[12]") == ["a.jpg", "c.jpg"]
    assert find("**") == ["a.jpg", "c.jpg", "[odd].jpg", "b.txt"]
    assert find("[odd].jpg") == ["[odd].jpg"]
    with pytest.raises(InvalidInput, match="^no file or folder fits .*3/"):
        find("3/*")


def test_refuses_an_empty_folder(tmp_path):
    with pytest.raises(InvalidInput, match="^no photos in the folder "):
        find_photos([str(tmp_path)])
