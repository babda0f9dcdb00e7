"""Omniglot as it lies on people's disks: copies and shadows count once or not at all, a damaged drawing is named."""

import shutil
import zipfile
from io import BytesIO

import pytest
import torch
from PIL import Image, ImageOps

from fewshot_lab.data import omniglot
from fewshot_lab.errors import CourseError


def drawing(shade: int) -> bytes:
    image, buffer = Image.new("1", (105, 105), 1), BytesIO()
    image.paste(0, (10, 10, 10 + shade, 60))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def torchvisions_layout(folder):
    """Two characters by three people; torchvision leaves the archive beside the folder that it unpacked."""
    inside = folder / "omniglot-py" / "images_background"
    for character in ("Greek/character01", "Greek/character02", "Latin/character01"):
        (inside / character).mkdir(parents=True)
        for person in range(3):
            (inside / character / f"0001_{person:02d}.png").write_bytes(drawing(40 + person))
    with zipfile.ZipFile(inside.with_suffix(".zip"), "w") as packed:
        for path in inside.rglob("*.png"):
            packed.write(path, path.relative_to(inside.parent))
    return inside


def test_no_copy_and_no_shadow_of_a_drawing_of_omniglot_counts(tmp_path):
    inside = torchvisions_layout(tmp_path)
    first = inside / "Greek" / "character01" / "0001_00.png"
    Image.open(first).convert("RGB").save(first.with_name("0001_00 (1).png"))  # the same pixels, packed in another way
    shutil.copytree(inside / "Greek", inside / "Greek - Copy")
    shutil.copytree(inside / "Latin" / "character01", inside / "Latin" / "character01 copy")
    for shadow in (first.with_name("._0001_00.png"), inside / "__MACOSX" / "Greek" / "character01" / "0001_00.png"):
        shadow.parent.mkdir(parents=True, exist_ok=True)
        shadow.write_bytes(b"\0\5\x16\7" + bytes(60))
    for source in (tmp_path, inside.parent):
        pool = omniglot.pool(source)
        assert torch.bincount(pool.labels).tolist() == [3, 3, 3] and pool.groups == ("Greek", "Greek", "Latin")


def in_capitals(folder):
    for path in list(folder.rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))


def behind_a_link(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    (folder / "images").symlink_to(folder.with_name("elsewhere"), target_is_directory=True)
    (folder.with_name("elsewhere") / "again").symlink_to(folder, target_is_directory=True)  # a ring


def packed_by_windows(folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as packed:
        for path in list(folder.rglob("*.png")):
            packed.writestr("\\".join(path.relative_to(folder).parts), path.read_bytes())
            path.unlink()


def each(change):
    def apply(folder):
        for path in folder.rglob("*.png"):
            change(Image.open(path)).save(path)

    return apply


def ink_in_alpha(image, colour=0):
    clear = Image.new("LA", image.size, (colour, 0))
    clear.putalpha(ImageOps.invert(image.convert("L")))
    return clear


WRITTEN_OTHERWISE = {
    "in capitals": in_capitals,
    "behind a link": behind_a_link,
    "packed by Windows": packed_by_windows,
    "white on black": each(lambda image: ImageOps.invert(image.convert("L"))),
    "in the alpha channel": each(ink_in_alpha),
    "white, in the alpha channel": each(lambda image: ink_in_alpha(image, 255)),
}


@pytest.mark.parametrize("change", WRITTEN_OTHERWISE.values(), ids=WRITTEN_OTHERWISE)
def test_drawings_of_omniglot_are_the_same_however_they_are_written(tmp_path, change):
    plain = torchvisions_layout(tmp_path / "plain")
    folder = tmp_path / "other" / "images"
    shutil.copytree(plain, folder)
    change(folder)
    expected, read = omniglot.pool(plain), omniglot.pool(folder)
    assert torch.equal(read.images, expected.images) and read.classes == expected.classes


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is no picture"), (drawing(40)[:60], "is no picture"), ("blank", "is blank"), ("wide", "is 50 x 105 pixels")],
    ids=["empty", "cut off", "blank", "not square"],
)
def test_a_damaged_drawing_of_omniglot_is_named_before_anything_is_trained(tmp_path, content, says):
    inside = torchvisions_layout(tmp_path)
    bad = inside / "Latin" / "character01" / "0001_02.png"
    if isinstance(content, bytes):
        bad.write_bytes(content)
    elif content == "blank":
        Image.new("L", (105, 105), 255).save(bad)
    else:
        Image.open(bad).crop((0, 0, 50, 105)).save(bad)
    with pytest.raises(CourseError, match=f"Latin/character01/0001_02.png {says}"):
        omniglot.find(inside)
    bad.unlink()
    inside.with_suffix(".zip").write_bytes(b"PK cut off")
    with pytest.raises(CourseError, match="images_background.zip is not a zip file, or is damaged"):
        omniglot.find(inside.parent)


def test_drawings_of_omniglot_may_have_several_sizes(tmp_path):
    inside = torchvisions_layout(tmp_path)
    Image.open(inside / "Latin" / "character01" / "0001_02.png").resize((210, 210)).save(inside / "Latin/character01/9.png")
    pool = omniglot.pool(inside)
    assert (pool.images[-1].float() - pool.images[-2].float()).abs().mean() < 3
