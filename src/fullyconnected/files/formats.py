"""The formats of model files, and which of them writes or reads a file; :mod:`fullyconnected.files.format` adds one."""

import os

from fullyconnected.core.contracts import is_foreign, read_only
from fullyconnected.core.registry import Registry
from fullyconnected.errors import ConfigError, FileFormatError, FullyConnectedError
from fullyconnected.files.atomic import write_atomically
from fullyconnected.files.format import Format
from fullyconnected.files.model import Model, build_model, describe_model
from fullyconnected.files.safetensors_format import Safetensors

__all__ = ["FORMATS", "read_model", "write_model"]

HEAD = 4096  # bytes by which a format recognises its files


class _Formats(Registry[Format]):
    """The formats, no two of which have a suffix in common."""

    def add(self, cls: type[Format]) -> type[Format]:
        suffixes = getattr(cls, "suffixes", None)
        if not isinstance(suffixes, tuple) or not all(isinstance(s, str) and s[:1] == "." for s in suffixes):
            raise ConfigError(f'{cls.__name__}.suffixes is a tuple such as (".safetensors",); got {suffixes!a:.80}')
        for other in self.classes.values():
            if other.name != cls.name and (both := {*other.suffixes} & {*suffixes}):
                raise ConfigError(f"the suffix {min(both)!a} is taken by the format {other.name!r}; choose another")
        return super().add(cls)


FORMATS = _Formats(
    "format",
    Format,
    (Safetensors,),
)


def write_model(path: str | os.PathLike[str], model: Model, form: Format | None = None) -> None:
    """Write a model so that at every moment ``path`` holds the old file or the new one, whole.

    The format is that of the suffix of ``path``, and safetensors where no format has the suffix.
    """
    form = form or _by_suffix(path) or Safetensors()
    description, tensors = describe_model(model)
    if is_foreign(form):  # they are the network's own memory
        tensors = {name: read_only(tensor) for name, tensor in tensors.items()}
    try:
        data = form.write(description, tensors)
    except FullyConnectedError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a file of the format {form.name!r} cannot hold the network: {error}") from error
    if not isinstance(data, bytes):
        raise ConfigError(f"{type(form).__name__}.write returns bytes; got a {type(data).__name__}")
    write_atomically(path, data)


def read_model(path: str | os.PathLike[str]) -> Model:
    """Return what a model file holds, or raise :class:`FileFormatError` with what is wrong with it.

    The file is read, not mapped, so that a process that cuts it short meanwhile cannot crash this one.
    """
    with open(os.fspath(path), "rb") as file:  # a number would be taken for an open file, and closed
        data = file.read(os.fstat(file.fileno()).st_size)
    try:
        form = _by_content(data[:HEAD]) or _by_suffix(path)
        if form is None:
            raise FileFormatError(
                f"this is no model file, of none of the formats known here: {', '.join(FORMATS.classes)}"
            )
        try:
            found = form.read(data)
            del data  # the tensors are copies
            return build_model(*found)
        except FileFormatError:
            raise
        except Exception as error:  # whatever a class of the user's own makes of a content that is damaged
            if not is_foreign(form):
                raise
            raise FileFormatError(f"this is no whole file of the format {form.name!r}: {error!r:.300}") from error
    except FileFormatError as error:
        raise FileFormatError(f"{os.fspath(path)}: {error}") from error.__cause__


def _by_content(head: bytes) -> Format | None:
    """Return the first format that recognises a file by its beginning."""
    return next((form for cls in FORMATS.classes.values() if (form := cls()).recognises(head)), None)


def _by_suffix(path: str | os.PathLike[str]) -> Format | None:
    """Return the format of a suffix; of two that fit, such as .gz and .json.gz, the longer one is meant."""
    name = os.fsdecode(path).lower()
    fitting = {s: cls for cls in FORMATS.classes.values() for s in cls.suffixes if name.endswith(s)}
    return fitting[max(fitting, key=len)]() if fitting else None
