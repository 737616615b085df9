"""The registry of formats, and the choice of the one that writes or reads a file."""

import os

from fullyconnected.core.contracts import is_foreign, read_only
from fullyconnected.core.registry import Registry
from fullyconnected.errors import ConfigError, FileFormatError, FullyConnectedError
from fullyconnected.files.atomic import write_atomically
from fullyconnected.files.format import Format
from fullyconnected.files.model import Model, build_model, describe_model
from fullyconnected.files.safetensors_format import Safetensors

__all__ = ["FORMATS", "read_model", "write_model"]

HEAD = 4096  # bytes from which a format recognises its files


class _Formats(Registry[Format]):
    """The registry of formats, no two of which share a suffix."""

    def add(self, cls: type[Format]) -> type[Format]:
        suffixes = getattr(cls, "suffixes", None)
        if not isinstance(suffixes, tuple) or not all(isinstance(s, str) and s[:1] == "." for s in suffixes):
            raise ConfigError(f'{cls.__name__}.suffixes is a tuple such as (".safetensors",); got {suffixes!a:.80}')
        for other in self.classes.values():
            if other.name != cls.name and (both := {*map(str.lower, other.suffixes)} & {*map(str.lower, suffixes)}):
                raise ConfigError(f"the suffix {min(both)!a} is taken by the format {other.name!r}; choose another")
        return super().add(cls)


FORMATS = _Formats("format", Format, (Safetensors,))


def write_model(path: str | os.PathLike[str], model: Model, form: Format | None = None) -> None:
    """Write a model atomically, in the format of the suffix of ``path``, or in safetensors for any other suffix."""
    form = form or _by_suffix(path) or Safetensors()
    description, tensors = describe_model(model)
    if is_foreign(form):  # a user's format must not change the network through its tensors
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
    """Return the model in a file, or raise :class:`FileFormatError` with what is wrong with the file.

    The file is read, not mapped into memory: otherwise, another process that shortens it could crash this one.
    """
    with open(os.fspath(path), "rb") as file:  # fspath refuses a number, which open would take for a file descriptor
        data = file.read(os.fstat(file.fileno()).st_size)
    try:
        named = _by_suffix(path)
        forms = (named or Safetensors(), *(cls() for cls in FORMATS.classes.values()))
        form = next((form for form in forms if _recognises(form, data[:HEAD])), named)
        if form is None:
            raise FileFormatError(f"this is not a model file of any known format: {', '.join(FORMATS.classes)}")
        try:
            found = form.read(data)
            del data  # the tensors are copies, and memory is needed for the network
            return build_model(*found)
        except FileFormatError:
            raise
        except Exception as error:  # a user's class may raise anything for damaged content
            if not is_foreign(form):
                raise
            raise FileFormatError(f"this is not a whole file of the format {form.name!r}: {error!r:.300}") from error
    except FileFormatError as error:
        raise FileFormatError(f"{os.fspath(path)}: {error}") from error.__cause__


def _recognises(form: Format, head: bytes) -> bool:
    """Whether a format recognises the beginning of a file; a user's one may raise anything for a file of another."""
    try:
        return bool(form.recognises(head))
    except Exception:
        return False


def _by_suffix(path: str | os.PathLike[str]) -> Format | None:
    """Return the format with the longest suffix that fits, so that .json.gz comes before .gz."""
    name = os.fsdecode(path).lower()
    fitting = {s: cls for cls in FORMATS.classes.values() for s in cls.suffixes if name.endswith(s.lower())}
    return fitting[max(fitting, key=len)]() if fitting else None
