"""Names of files of jobs, and the keys under which they are kept. No name leads out of its job."""

import re
from collections.abc import Iterator
from typing import Final
from unicodedata import normalize
from urllib.parse import unquote

from avtomatika.errors import InvalidInput
from avtomatika.kernel.ids import JobId
from rxon.attachments import SCHEME, parse_uri
from rxon.errors import ProtocolError

FIELD: Final = "filename"
MOST_BYTES: Final = 800
MOST_OF_STEP: Final = 200  # file systems take 255 bytes, and names of unfinished files are longer

_UNSAFE: Final = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029]|(?:^|/)[A-Za-z]:")


def checked(name: str) -> str:
    """The name: steps with slashes between them. Raises InvalidInput for one that may lead elsewhere.

    It may not do so however it is read: on any system, decoded once more, or with its dots and slashes
    written by other signs.
    """
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidInput("The name of the file is no text.", field=FIELD) from None
    if not 0 < length <= MOST_BYTES or any(len(step.encode()) > MOST_OF_STEP for step in name.split("/")):
        message = f"The name of a file has 1 to {MOST_BYTES} bytes, and {MOST_OF_STEP} between two slashes."
        raise InvalidInput(message, field=FIELD)
    if any(map(_leads_elsewhere, _readings(name))):
        raise InvalidInput("The name of the file may lead elsewhere.", field=FIELD)
    return name


def prefix_of(job: str) -> str:
    """What the keys of all files of the job begin with."""
    return f"jobs/{job}/"


def key_of(job: str, name: str) -> str:
    """The key of the file of the job. A *name* that ends with a slash is that of a folder."""
    return prefix_of(job) + checked(name.removesuffix("/")) + ("/" if name.endswith("/") else "")


def key_in(job: JobId, name_or_uri: str, bucket: str) -> str:
    """The key of what the job may read: its own files, and by their URI those of its kin.

    Raises InvalidInput for a URI of anything else.
    """
    if "://" not in name_or_uri:
        return key_of(job, name_or_uri)
    try:
        address = parse_uri(name_or_uri)
    except ProtocolError as error:
        raise InvalidInput(error.message, field=FIELD) from error
    root, _, rest = address.key.partition("/")
    owner, _, name = rest.partition("/")
    if address.bucket != bucket or root != "jobs" or not (owner == job or is_kin(job, owner)):
        raise InvalidInput(f"{SCHEME}:// addresses of other jobs are not for this one.", field=FIELD)
    return key_of(owner, name) if name else prefix_of(owner)


def is_kin(one: str, other: str) -> bool:
    """True when one job was started by the other, or by its child: children are named after parents."""
    return bool(one and other) and (one.startswith(f"{other}_") or other.startswith(f"{one}_"))


def _readings(name: str) -> Iterator[str]:
    """The name as others might read it."""
    for text in (name, unquote(name), unquote(unquote(name))):
        yield text
        yield normalize("NFKC", text)


def _leads_elsewhere(text: str) -> bool:
    # A dot or a blank at the end of a name is left out on Windows, so that another file is meant.
    steps = text.split("/")
    return _UNSAFE.search(text) is not None or any(not step or step[-1] in ". " for step in steps)
