"""A file of Keras as data: what its layers are, and their weights; nothing in it is executed.

A ``.keras`` file is a zip of JSON and HDF5, a file of the older format is HDF5 with the JSON as an attribute. Both are
read up to sizes that follow from that of the file.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from fullyconnected.core.arrays import Array
from fullyconnected.errors import FileFormatError
from fullyconnected.exchange.keras.hdf5 import SIGNATURE, Hdf5, Item

if TYPE_CHECKING:
    from fullyconnected.annotations import PathLike

__all__ = ["Stored", "Weights", "is_model", "layers_of", "name_of", "read"]

ZIP = b"PK\x03\x04"
INFLATES = 16  # times the size of a zip, to which all that is read of it may inflate, beside
BESIDE = 1 << 24  # bytes
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MODELS = "Sequential", "Functional", "Model"
GROUPS = "layers", "_layer_checkpoint_dependencies"  # of a model's layers, the second in files of Keras 2

Weights = Mapping[str, Any]  # by the name of a layer: its arrays in their order, or the Weights of a model in it


class Stored(NamedTuple):
    """A model as Keras describes it, and its weights."""

    model: Mapping[str, Any]
    weights: Weights


def layers_of(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the descriptions of a model's layers."""
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config  # a list in early files of Keras 2
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise FileFormatError("its layers are no list of descriptions")
    for layer in layers:
        if not isinstance(layer.get("class_name"), str):
            raise FileFormatError(f"the class_name of a layer is {layer.get('class_name')!a:.80}; a text belongs there")
        if not isinstance(layer.get("config"), dict if layer["class_name"] not in MODELS else dict | list):
            raise FileFormatError(f"the layer {name_of(layer)!a:.80} has no settings")
    if twice := [name for name, n in Counter(map(name_of, layers)).items() if n > 1]:
        raise FileFormatError(f"two of its layers have the name {twice[0]!a:.80}")
    return layers


def name_of(layer: Mapping[str, Any]) -> str:
    """Return the name of a layer, which older files have only in its settings."""
    config = layer.get("config")
    return str(layer.get("name") or (config.get("name") if isinstance(config, dict) else "") or "")


def is_model(layer: Mapping[str, Any]) -> bool:
    """Whether the description of a layer is that of a model, which has layers of its own."""
    return layer["class_name"] in MODELS


def read(path: PathLike) -> Stored:
    """Return what a ``.keras`` file, or a whole model in HDF5, holds.

    Raises
    ------
    FileFormatError
        For a file that is neither, holds weights alone, or is not what Keras writes.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        head, size = file.read(8), file.seek(0, io.SEEK_END)
        file.seek(0)
        if head[:4] == ZIP:
            return _zipped(file, size)
        if head == SIGNATURE:
            return _Tree(file.read()).whole_model()
    raise FileFormatError(
        "this is neither a zip nor HDF5; a model of Keras is written by model.save, into a file whose name ends in "
        ".keras, or in .h5"
    )


# --- the zip ----------------------------------------------------------------------------------------------------------


def _zipped(file: BinaryIO, size: int) -> Stored:
    try:
        with ZipFile(file) as archive:
            names = [member.filename for member in archive.infolist()]
            if twice := sorted(name for name, n in Counter(names).items() if n > 1):
                raise FileFormatError(f"its zip has {twice[0]!a:.80} twice")
            if odd := [name for name in names if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name)]:
                raise FileFormatError(f"its zip has {odd[0]!a:.80}, a name that leads out of it")
            for name in (CONFIG, WEIGHTS):
                if name not in names:
                    raise FileFormatError(
                        f"its zip has no {name}, but {', '.join(names)!a:.200}; a model of Keras 3 that model.save "
                        f"writes has one"
                    )
            room = INFLATES * size + BESIDE
            text = _inflated(archive, CONFIG, room)
            data = _inflated(archive, WEIGHTS, room - len(text))
    except (BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise FileFormatError(f"its zip is damaged: {error}") from error
    model = _parsed(text)
    return Stored(model, _Tree(data).by_class(layers_of(model), ()))


def _inflated(archive: ZipFile, name: str, room: int) -> bytes:
    """Return a member of a zip, which may have ``room`` bytes."""
    member = archive.getinfo(name)
    if member.flag_bits & 1:
        raise FileFormatError(f"{name} in its zip is encrypted")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise FileFormatError(f"{name} in its zip is compressed by the method {member.compress_type}; Keras uses none")
    if member.file_size > room:
        raise FileFormatError(f"{name} in its zip inflates to {member.file_size} bytes, too many for the file's size")
    parts, left = [], member.file_size + 1
    with archive.open(member) as stream:
        while left > 0 and (part := stream.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if left != 1:
        raise FileFormatError(f"{name} in its zip does not have the {member.file_size} bytes that it says")
    return b"".join(parts)


def _parsed(text: bytes | str) -> Mapping[str, Any]:
    """Return the description of a model from its JSON."""
    try:
        model = json.loads(text)
    except ValueError as error:
        raise FileFormatError(f"the description of its layers is not JSON: {error}") from None
    if not isinstance(model, dict) or not isinstance(model.get("class_name"), str) or "config" not in model:
        raise FileFormatError("the description of its layers is not one of Keras: it has no class_name and config")
    if not is_model(model):
        raise FileFormatError(
            f"it is a {model['class_name']!a:.80}, whose computation is code that no file holds; a Sequential or "
            f"functional model can be read"
        )
    return model


# --- HDF5 -------------------------------------------------------------------------------------------------------------


class _Tree:
    """The weights in a file, of which at most as many bytes are read as it has."""

    def __init__(self, data: bytes) -> None:
        self.file, self.left = Hdf5(data), len(data)

    def whole_model(self) -> Stored:
        """Return the model of a file of the older format."""
        if not (text := self.file.root.texts("model_config")):
            raise FileFormatError(
                "it has weights alone, and not the layers to which they belong: build the model in Keras, and write "
                "model.load_weights(path), then model.save('model.keras')"
            )
        model = _parsed(text[0])
        layers = layers_of(model)
        found = {}
        for layer in layers:
            place = "model_weights", *(name := name_of(layer)).split("/")
            group = self.file.at(*place)
            names = self.texts(group, "weight_names") if group is not None else []
            arrays = [(each, self.numbers(self.file.at(*place, *each.split("/")), each)) for each in names]
            found[name] = self.byname_of(layer, arrays) if is_model(layer) else [array for _, array in arrays]
        return Stored(model, found)

    def byname_of(self, model: Mapping[str, Any], arrays: Sequence[tuple[str, Array]]) -> Weights:
        """Return the weights of a model within a model, which are told apart by ``layer/weight``."""
        apart: dict[str, list[Array]] = {}
        for name, array in arrays:
            apart.setdefault(name.split("/")[-2] if "/" in name else "", []).append(array)
        leaves: Counter[str] = Counter()

        def taken(model: Mapping[str, Any]) -> Weights:
            found: dict[str, Any] = {}
            for layer in layers_of(model):
                name = name_of(layer)
                leaves[name] += not is_model(layer)
                found[name] = taken(layer) if is_model(layer) else apart.get(name, [])
            return found

        found = taken(model)
        if wrong := [name for name in apart if leaves[name] != 1]:
            raise FileFormatError(
                f"the weights of {wrong[0]!a:.80} in {name_of(model)!a:.80} belong to {leaves[wrong[0]]} layers of "
                f"that name: save the model as .keras"
            )
        return found

    def by_class(self, layers: Sequence[Mapping[str, Any]], path: tuple[str, ...]) -> Weights:
        """Return the weights of layers, which Keras 3 names by their classes and numbers them."""
        group: Any = next((each for each in GROUPS if self.file.at(*path, each) is not None), "")
        seen: Counter[str] = Counter()
        found: dict[str, Any] = {}
        for layer in layers:
            if "ops" in str(layer.get("module")).split("."):
                continue  # an operation, which is no layer, and has no weights
            kind = _snake_case(str(layer["class_name"]))
            here = (*path, group, f"{kind}_{seen[kind]}" if seen[kind] else kind)
            seen[kind] += 1
            if is_model(layer):
                found[name_of(layer)] = self.by_class(layers_of(layer), here)
                continue
            held = self.file.at(*here, "vars")
            count = 0 if held is None else len(held.children)
            paths = [(*here, "vars", str(i)) for i in range(count)]
            found[name_of(layer)] = [self.numbers(self.file.at(*path), "/".join(path)) for path in paths]
        return found

    def numbers(self, found: Item | None, name: str) -> Array:
        """Return an array; all of them together have no more bytes than the file."""
        if found is None:
            raise FileFormatError(f"the weights {name!a:.200} are not there")
        array = found.array(name)
        self.left -= array.nbytes
        if self.left < 0:
            raise FileFormatError(f"the weights {name!a:.200} are those of several layers at once")
        return array

    def texts(self, found: Item, name: str) -> list[str]:
        """Return the texts of an attribute, which Keras splits into several where it is long."""
        if (texts := found.texts(name)) is not None:
            return texts
        texts, i = [], 0
        while (part := found.texts(f"{name}{i}")) is not None:
            texts += part
            i += 1
        return texts


def _snake_case(name: str) -> str:
    """Return the name of a class as Keras writes it in its files: ``BatchNormalization`` is ``batch_normalization``."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
