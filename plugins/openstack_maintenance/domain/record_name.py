"""What the files of a run are called, whatever its id is."""

from __future__ import annotations

import hashlib

# A file name may have 255 bytes; notes, and a file that is still being written, need some more.
_LONGEST = 200
_DIGEST = 16
# No plain name has it, so that no made name is also a plain one.
_MADE = "~"


def file_name(text: str) -> str:
    """A name of its own for each text: the text itself where a file can be called so.

    Airflow lets run ids carry what a path must not, such as '/'.
    """
    name = plain_name(text)
    if name == text and _is_usable(name):
        return name
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{_ascii(name)[:100]}{_MADE}{digest}"


def plain_name(text: str) -> str:
    """What older releases called it: 'a/b' and 'a_b' alike."""
    return "".join(char if char.isalnum() or char in "._-+:" else "_" for char in text)


def _is_usable(name: str) -> bool:
    return name.strip(".") != "" and len(name.encode()) <= _LONGEST


def _ascii(name: str) -> str:
    return "".join(char if char.isascii() else "_" for char in name)
