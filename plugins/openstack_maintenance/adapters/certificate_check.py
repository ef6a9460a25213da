"""The check of a cloud's certificate is never switched off, however a configuration asks for it."""

from __future__ import annotations

from typing import Any

REMEDY = "Remove it and name the CA in the extra cacert."
_NO = frozenset({"false", "no", "off", "n", "f", "0", "0.0"})
_YES = frozenset({"true", "yes", "on", "y", "t", "1", "1.0"})


def says_no(value: Any) -> bool:
    """Whether a setting says no: false, "False", 0, "off"."""
    return isinstance(value, (bool, int, float, str)) and str(value).strip().lower() in _NO


def says_yes(value: Any) -> bool:
    """Whether a setting says yes: true, "True", 1, "on"."""
    return isinstance(value, (bool, int, float, str)) and str(value).strip().lower() in _YES


def switched_off_by(verify: Any, insecure: Any) -> str | None:
    """What is found where one of the two settings switches the check off; None where none does.

    ``insecure`` says it with anything but a no: so the SDK reads it.
    """
    if says_no(verify):
        setting = "verify: false"
    elif insecure in (None, "") or says_no(insecure):
        return None
    else:
        setting = "insecure: true"
    return f"{setting} disables the certificate check, which this project never does"
