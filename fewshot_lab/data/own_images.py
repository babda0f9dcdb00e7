"""Your own pictures as an `ImageTask`: a folder with one folder for each class, or a folder and a table of files and labels."""

import os
import random
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import CourseError
from ..languages import later, say
from ..runtime import usable_cores
from .images import ImageTask
from .own import (
    MOST_CLASSES,
    LeftOut,
    check_counts,
    chosen_classes,
    counted,
    counted_parts,
    digest,
    entries,
    existing,
    folders,
    parts_of,
    readable,
)
from .own_tables import columns_of, read_table

WANT = later("a folder with one folder of pictures for each class")
MOST_FILES = 200_000
FEWEST_DRAWN = 20  # pictures of a class, where it is `most` that says how many are drawn
MOST_PIXELS = 200_000_000  # of a picture: more would fill the memory when it is decoded
MOST_BYTES = 2 * 10**9  # of all pictures together
# Correlation: higher is the same picture saved twice. Of crops of two photographs all copies in JPEG quality 75 are above it,
# and half of those shrunk to a half; of 897 handwritten digits no two are above 0.995.
SAME = 0.999
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation", "dev"), "validation")
# Not all that Pillow opens: EPS starts another program, and the others have no pixels of their own.
REFUSED = {"EPS", "PDF", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}


@dataclass(frozen=True)
class Pictures:
    """Pictures as they were read: images uint8 (N, 1 or 3, S, S), labels and pictures (N,), and where each comes from.

    Equal numbers in `pictures` are copies of one picture; `parts` are "train", "validation" or "test".
    """

    name: str
    classes: tuple[str, ...]
    images: Tensor
    labels: Tensor
    pictures: Tensor
    files: tuple[str, ...]
    parts: tuple[str, ...]
    left_out: LeftOut

    def rows(self, part: str) -> Tensor:
        """The indices of a part's pictures."""
        return torch.tensor([row for row, of_row in enumerate(self.parts) if of_row == part])

    def task(self) -> ImageTask:
        """The same as the course's data sets have it."""
        columns = {}
        for part in ("train", "validation", "test"):
            rows = self.rows(part)
            # The pictures' numbers from 0 on in each part.
            numbers = self.pictures[rows].unique(return_inverse=True)[1]
            columns |= {f"{part}_images": self.images[rows], f"{part}_labels": self.labels[rows], f"{part}_pictures": numbers}
        return ImageTask(self.name, self.classes, **columns)

    def report(self) -> str:
        """What was read, into which parts, and what was left out and why."""
        size = self.images.shape[-1]
        colour = say("in colour") if self.images.shape[1] == 3 else say("in grey")
        lines = [
            say(
                "{name}: {n} pictures of {classes} classes ({counts}), {size} x {size} pixels, {colour}.",
                name=self.name,
                n=len(self.labels),
                classes=len(self.classes),
                counts=counted([self.classes[label] for label in self.labels]),
                size=size,
                colour=colour,
            ),
            counted_parts(Counter(self.parts)),
        ]
        if copies := len(self.labels) - len(self.pictures.unique()):
            lines.append(say("{n} pictures are copies of others; copies are in the same part.", n=copies))
        return "\n".join(lines + self.left_out.lines())


def my_images(folder: str | Path, labels: str | Path | None = None, **options) -> ImageTask:
    """Your own pictures as a data set of the course; prints what was read and what was left out, and why.

        task = lab.my_images("pictures")               # pictures/cat/1.jpg, pictures/dog/rex.png, ...
        task = lab.my_images("pictures", "labels.csv")  # pictures/1.jpg, ..., and a table with the columns file and label

    Args and errors as those of `read_images`. Nothing in the folder is changed.
    """
    pictures = read_images(folder, labels, **options)
    print(pictures.report())
    return pictures.task()


def read_images(
    folder: str | Path,
    labels: str | Path | None = None,
    *,
    size: int = 64,
    colour: bool | None = None,
    classes: Collection[str] | None = None,
    most_per_class: int = 1000,
    most: int | None = None,
    most_classes: int = MOST_CLASSES,
    file_column: str | None = None,
    label_column: str | None = None,
    progress=iter,
) -> Pictures:
    """Reads pictures of any format and mode that Pillow knows.

    A picture is turned as its EXIF data say, of an animation the first frame is taken, transparent pixels become white, 16 bits
    become 8, and the whole picture is fitted into a square whose rest has the colour of its edge. Copies of a picture, in
    another size or quality too, fall into one part; a picture that is in two classes is left out. The parts are cut by a hash
    of the pixels, or taken from folders `train`, `val` and `test` where the classes are in these.

    Args:
        folder: with a folder for each class, or with pictures and a table.
        labels: the table, a CSV file; by default the only one in a folder without class folders.
        size: pixels a side.
        colour: whether images have three channels; None: where a picture has colour.
        classes: their names, where not all are wanted.
        most_per_class: pictures of a class that are read, drawn at random and always alike.
        most: pictures of all classes together, of each class equally many but never fewer than 20.
        most_classes: more are refused, before any picture is read.
        file_column, label_column: of the table, where they cannot be guessed.
        progress: progress(files) is a bar around the loop.

    Raises CourseError, which says what to do, for a folder that holds no classification task.
    """
    folder = existing(folder, want=WANT)
    if folder.is_file():
        raise CourseError(
            say("{readable} is a file. Give the path of {known}.", readable=readable(folder.name), known=say(WANT))
        )
    where, left_out = readable(folder.resolve().name), LeftOut()
    found = _from_table(folder, labels, (file_column, label_column), left_out) or _from_folders(folder, left_out)
    if not found:
        raise CourseError(
            say(
                "{where} holds no picture in a folder of its own. Put the pictures of each class into a folder "
                "with the name of the class, or add a table labels.csv with the columns file and label.",
                where=where,
            )
        )
    names = chosen_classes({label for _, label, _ in found}, classes, where, most_classes)
    if most is not None:
        most_per_class = min(most_per_class, max(FEWEST_DRAWN, most // len(names)))
    kept: list[tuple[Path, str, str]] = []
    for name in names:
        of_class = sorted(row for row in found if row[1] == name)
        if len(of_class) > most_per_class:
            reason = say("beyond the first {n} drawn of {name}", n=most_per_class, name=name)
            drawn = set(random.Random(0).sample(range(len(of_class)), most_per_class))
            for index, (file, *_) in enumerate(of_class):
                if index not in drawn:
                    left_out.add(_shown(file, folder), reason)
            of_class = [row for index, row in enumerate(of_class) if index in drawn]
        kept += of_class
    if (total := len(kept) * size * size * 3) > MOST_BYTES:
        raise CourseError(
            say(
                "{where}: {kept:,} pictures of {size} x {size} pixels take {total:.1f} GB. Choose a smaller "
                "size=, fewer classes=[...], or a smaller most_per_class=.",
                where=where,
                kept=len(kept),
                size=size,
                total=total / 1e9,
            )
        )
    arrays, rows = [], []
    with ThreadPoolExecutor(usable_cores()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata and of large pictures, which are judged by their size below
        for row, picture in zip(kept, progress(pool.map(lambda row: _decoded(row[0], size), kept)), strict=True):
            if isinstance(picture, str):
                left_out.add(_shown(row[0], folder), picture)
            else:
                arrays.append(picture)
                rows.append(row)
    counts = Counter(label for _, label, _ in rows)
    check_counts({name: counts[name] for name in names}, where, later("pictures that can be read"))
    images = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    if colour is False or colour is None and not _has_colour(images):
        images = _grey(images)
    return _grouped(where, names, images.contiguous(), rows, folder, left_out)


def read_picture(path: str | Path, *, size: int, colour: bool) -> Tensor:
    """One picture as `read_images` reads it, uint8 (3 or 1, size, size); raises CourseError where it cannot be read."""
    found = _decoded(existing(path, want=later("a picture")), size)
    if isinstance(found, str):
        raise CourseError(say("{readable}: {found}. Give a picture that can be opened.", readable=readable(path), found=found))
    image = torch.tensor(found).permute(2, 0, 1)
    return image if colour else _grey(image[None])[0]


def _grey(images: Tensor) -> Tensor:
    """Colour images uint8 (N, 3, S, S) in grey, (N, 1, S, S)."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)  # of the luminance (ITU-R BT.601), as in Pillow
    return torch.cat([(some * weights).sum(1, keepdim=True).round().byte() for some in images.split(1000)])


def _from_folders(folder: Path, left_out: LeftOut) -> list[tuple[Path, str, str]]:
    """(file, class, part or "") of all files in folders of classes."""
    for _ in range(3):  # an unpacked archive is often a folder in a folder
        inside = folders(folder)
        if len(inside) == 1 and folders(inside[0]) and inside[0].name.lower() not in PARTS:
            folder = inside[0]
    inside = folders(folder)
    parts = {PARTS.get(one.name.lower(), "") for one in inside}
    given = "train" in parts and "" not in parts and len(parts) > 1 and all(folders(one) for one in inside)
    found, seen = [], set()
    for top in inside if given else [folder]:
        for of_class in folders(top):
            part = PARTS[top.name.lower()] if given else ""
            for file in _files(of_class, left_out, folder, seen):
                found.append((file, readable(of_class.name), part))
                if len(found) > MOST_FILES:
                    raise CourseError(
                        say(
                            "{readable} holds over {known:,} files. Give the path of {want}.",
                            readable=readable(folder.name),
                            known=MOST_FILES,
                            want=say(WANT),
                        )
                    )
    return found


def _from_table(folder: Path, table: str | Path | None, columns: tuple, left_out: LeftOut) -> list[tuple[Path, str, str]]:
    """(file, class, "") of all lines of a table; none where there is no table."""
    if table is None:
        tables = [path for path in entries(folder) if path.suffix.lower() in {".csv", ".tsv"}]
        if len(tables) != 1 or any(map(entries, folders(folder))) and columns == (None, None):
            return []
        table = tables[0]
    path = Path(table).expanduser()
    path = path if path.exists() or path.is_absolute() else folder / path
    heads, rows = read_table(existing(path, want=later("a table with the columns file and label")))
    file_column, label_column = columns_of(heads, rows, ("file", *columns), path.name, is_file=lambda cell: _file(folder, cell))
    found = []
    for line, row in rows:
        cell, label = row[file_column].strip(), readable(row[label_column].strip())
        file = _file(folder, cell)
        if file is None or not label:
            reason = say("not there, though the table names them") if label else say("without a label in the table")
            left_out.add(readable(cell) or say("line {n}", n=line), reason)
        else:
            found.append((file, label, ""))
    if not found:
        raise CourseError(
            say(
                "{name}: none of the files in its column {heads!r} is in {readable}, such as {rows!r}. Give "
                "paths that begin in that folder.",
                name=path.name,
                heads=heads[file_column],
                readable=readable(folder.name),
                rows=rows[0][1][file_column],
            )
        )
    return found


def _file(folder: Path, cell: str) -> Path | None:
    """The file that a cell names, within the folder or in one of its folders."""
    try:
        path = folder / cell.strip().replace("\\", "/").lstrip("/")
        return path if cell.strip() and path.is_file() else None
    except (OSError, ValueError):  # too long for a name, or with a null byte: no name of a file
        return None


def _files(folder: Path, left_out: LeftOut, top: Path, seen: set[str]) -> Iterator[Path]:
    """All files in a folder and below it; `seen` are the folders that were read, so that links in a circle end."""
    real = os.path.realpath(folder)
    if real in seen:
        left_out.add(_shown(folder, top), say("a link to a folder that was read already"))
        return
    seen.add(real)
    if not os.access(folder, os.R_OK | os.X_OK):
        left_out.add(_shown(folder, top), say("a folder that you may not read"))
    for path in entries(folder):
        if path.is_dir():
            yield from _files(path, left_out, top, seen)
        elif path.is_file() and path.name.lower() not in {"thumbs.db", "desktop.ini"}:
            yield path
        elif path.is_symlink():
            left_out.add(_shown(path, top), say("a link to nothing"))


def _shown(path: Path, folder: Path) -> str:
    return readable(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _decoded(path: Path, size: int) -> np.ndarray | str:
    """The picture (size, size, 3), uint8, or the reason why there is none."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.init()
    formats = [name for name in Image.OPEN if name not in REFUSED]
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                return say("too large to open safely")
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG file can be decoded at an eighth of its size
            picture = _as_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        return say("no picture that Pillow reads")
    except Image.DecompressionBombError:
        return say("too large to open safely")
    except PermissionError:
        return say("a file that you may not read")
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError, IndexError, TypeError, OverflowError) as error:
        # What decoders of thirty formats raise for damaged files.
        return say("damaged ({error})", error=str(error).split("\n")[0][:60] or type(error).__name__)
    edge = np.asarray(picture)
    edge = np.concatenate([edge[0], edge[-1], edge[:, 0], edge[:, -1]])
    colour = tuple(int(value) for value in np.median(edge, axis=0))
    return np.asarray(ImageOps.pad(picture, (size, size), Image.Resampling.BILINEAR, color=colour))


def _as_rgb(image):
    """A picture of any mode as RGB."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        # convert("L") would cut at 255. Cameras and microscopes often write 12 bits into 16; others need their own range.
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        low, high = 0.0, 4095.0 if values.max(initial=0) < 4096 else 65535.0
        if image.mode == "F" or values.min() < 0 or values.max() > high:
            low, high = values.min(), max(values.max(), values.min() + 1e-9)
        return Image.fromarray(((values - low) / (high - low) * 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _has_colour(images: Tensor) -> bool:
    """Whether the channels of any image differ by more than the little that compression adds."""
    return any(bool((chunk.amax(1).float() - chunk.amin(1).float()).mean((1, 2)).gt(2).any()) for chunk in images.split(1000))


def keys_of(images: Tensor) -> list[bytes]:
    """A key for each image, by its pixels."""
    return [digest(image.numpy().tobytes()) for image in images]


def same_pictures(images: Tensor, labels: Tensor, keys: Sequence[bytes] | None = None) -> Tensor:
    """The number of the picture that each image shows, (N,): equal where two of one class are copies of each other.

    Copies have equal pixels, or differ by no more than another size or quality of the file makes them differ. keys: those of
    `keys_of`; None: they are computed here.
    """
    from scipy.sparse.csgraph import connected_components

    keys = keys_of(images) if keys is None else keys
    numbers = torch.empty(len(labels), dtype=torch.long)
    small = torch.nn.functional.interpolate(images.float(), size=(16, 16), mode="area").flatten(1)  # (N, C 16 16)
    centred = small - small.mean(1, keepdim=True)
    contrast = centred.norm(dim=1, keepdim=True)
    # A picture of one colour has nothing to correlate: it is a copy where its pixels are equal alone.
    directions = torch.where(contrast > 1.0, centred / contrast.clamp_min(1.0), torch.zeros(()))
    start = 0
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        alike = directions[rows] @ directions[rows].T > SAME
        equal = np.unique([keys[row] for row in rows.tolist()], return_inverse=True)[1]
        alike = alike.numpy() | (equal[:, None] == equal[None])
        count, component = connected_components(alike, directed=False)
        numbers[rows] = torch.from_numpy(component).long() + start
        start += count
    return numbers


def _grouped(where, names, images: Tensor, rows: list, folder: Path, left_out: LeftOut) -> Pictures:
    """The pictures with their copies found and cut into parts; what cannot be used is left out."""
    label_of = {name: index for index, name in enumerate(names)}
    labels = torch.tensor([label_of[label] for _, label, _ in rows])
    keys = keys_of(images)
    classes_of: dict[bytes, set[str]] = {}
    for key, (_, label, _) in zip(keys, rows, strict=True):
        classes_of.setdefault(key, set()).add(label)
    pictures = same_pictures(images, labels, keys)
    tested = {int(picture) for picture, (*_, part) in zip(pictures, rows, strict=True) if part not in ("", "train")}
    kept = []
    for index, (file, _, part) in enumerate(rows):
        if len(classes_of[keys[index]]) > 1:
            left_out.add(_shown(file, folder), say("the same picture in two classes"))
        elif part == "train" and int(pictures[index]) in tested:
            left_out.add(_shown(file, folder), say("in the training part although its copy is in the test"))
        else:
            kept.append(index)
    counts = Counter(names[labels[index]] for index in {int(pictures[k]): k for k in kept}.values())
    check_counts({name: counts[name] for name in names}, where, later("different pictures"))
    parts = _parts(rows, kept, pictures, keys, where, names)
    return Pictures(
        where,
        names,
        images[kept],
        labels[kept],
        pictures[kept].unique(return_inverse=True)[1],
        tuple(_shown(rows[index][0], folder) for index in kept),
        tuple(parts),
        left_out,
    )


def _parts(rows: list, kept: list[int], pictures: Tensor, keys: list[bytes], where: str, names) -> list[str]:
    """The part of every picture that is kept: the one of its folder, or cut here."""
    given = [rows[index][2] for index in kept]
    groups = [int(pictures[index]) for index in kept]
    classes = [{rows[index][1]} for index in kept]
    order = [keys[index] for index in kept]
    if "" in given:
        return parts_of(groups, classes, order)
    if "test" not in given:  # two parts: what was held back is the test
        given = ["test" if part == "validation" else part for part in given]
    if "validation" not in given:
        learn = [place for place, part in enumerate(given) if part == "train"]
        cut = parts_of(
            *([some[place] for place in learn] for some in (groups, classes, order)), {"train": 0.8, "validation": 0.2}
        )
        for place, part in zip(learn, cut, strict=True):
            given[place] = part
    for part in ("train", "validation", "test"):
        there = {rows[index][1] for index, of_row in zip(kept, given, strict=True) if of_row == part}
        if missing := [name for name in names if name not in there]:
            raise CourseError(
                say(
                    "{where} has no picture of {missing} for {part}; put some into that folder.",
                    where=where,
                    missing=", ".join(missing[:3]),
                    part=part,
                )
            )
    return given
