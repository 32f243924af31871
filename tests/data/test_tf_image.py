import shutil

from landmarks_tf.data.photo_set import load_photos
from landmarks_tf.data.tf_image import find_unreadable


def test_unreadable_photos_are_found_and_their_reasons_told(colored_dir, tmp_path):
    folder = shutil.copytree(colored_dir, tmp_path / "photos")
    good = (folder / "train/0.red/00.jpg").read_bytes()
    (folder / "train/0.red/empty.jpg").write_bytes(b"")
    (folder / "train/1.green/half.jpg").write_bytes(good[: len(good) // 2])
    (folder / "test/2.blue/text.jpg").write_text("not a photo")
    (folder / "test/2.blue/wrong_name.jpg").write_bytes(
        (folder / "train/0.red/extra.png").read_bytes()
    )
    reasons = find_unreadable(load_photos(folder))
    assert list(reasons) == [
        "train/0.red/empty.jpg",
        "train/1.green/half.jpg",
        "test/2.blue/text.jpg",
    ]
    assert reasons["train/0.red/empty.jpg"] == "empty file"
    assert reasons["train/1.green/half.jpg"].startswith("damaged (")
    assert reasons["test/2.blue/text.jpg"].startswith("not a photo")
