"""Secrets: how they are known in a recipe, which refuses them, and masked in what is shown or kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

#: The last word of a key whose value is a secret. ``key`` alone names entries of a batch.
_WORD = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credentials?|authorization|bearer|"
    r"(?:api|access|private|secret|account|ssh|encryption)[_-]?key)s?"
)
_KEY = re.compile(rf"(?:.*[_.-])?{_WORD}", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: A user, a password or a token before the host of an address.
_USERINFO = re.compile(r"(?<=://)[^/?#\s@'\"]+(?=@)")
#: A secret among the parameters of an address.
_PARAMETER = re.compile(rf"(?<=[?&;#])((?:[\w.-]{{0,60}}[_.-])?(?:{_WORD}|sig(?:nature)?)=)[^&#\s'\"]+", re.IGNORECASE)
#: Texts that services issue as secrets, by how they begin.
_ISSUED = re.compile(
    r"(?<![\w-])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}|"
    r"xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|AIza[\w-]{30,}|dapi[0-9a-f]{30,}|"
    r"eyJ[\w-]{8,300}\.eyJ[\w-]{8,300}\.[\w-]+)|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
#: ``key: value`` and ``key=value`` in a line of text.
_GIVEN = re.compile(rf"""((?:^|[\s{{,.\[\-_'"]){_WORD}["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,}}\]]+)""", re.IGNORECASE)
_VALUELESS = ("null", "~", "true", "false")
CURE = "remove it, and give it in the environment (MLFLOW_TRACKING_PASSWORD, WANDB_API_KEY, ...) or in ~/.netrc"


def is_secret_key(key: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    return len(key) <= 200 and _KEY.fullmatch(_CAMEL.sub("_", key)) is not None


def holds_secret(text: str) -> bool:
    """Whether a text has a secret in it, such as an address with a password."""
    address = "://" in text and _USERINFO.search(text)
    return bool(address or ("=" in text and _PARAMETER.search(text)) or _ISSUED.search(text))


def is_secret(key: str, value: Any) -> bool:
    """Whether the value of a key is, or holds, a secret."""
    if isinstance(value, str):
        return holds_secret(value) or (value != "" and is_secret_key(key))
    # A number can be a password, but the tokens of something can be counted.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and is_secret_key(key) and "token" not in key.lower()


def masked(text: str) -> str:
    """Text with ``*`` for each character of a secret in it."""
    for pattern in (_USERINFO, _ISSUED):
        text = pattern.sub(lambda match: "*" * len(match[0]), text)
    text = _PARAMETER.sub(lambda match: match[1] + "*" * (len(match[0]) - len(match[1])), text)
    return _GIVEN.sub(_starred, text)


def _starred(match: re.Match[str]) -> str:
    key, value = match[1], match[2]
    counted = "token" in key.lower() and value.replace("_", "").isdecimal()
    return key + (value if counted or value in _VALUELESS else "*" * len(value))


def masked_arguments(arguments: Sequence[str]) -> list[str]:
    """The words of a command line without secrets; also ``--password X`` in two words."""
    shown: list[str] = []
    for i, word in enumerate(arguments):
        name, equals, _ = word.partition("=")
        before = arguments[i - 1] if i else ""
        if equals and is_secret_key(name.lstrip("-")):
            shown.append(f"{name}=***")
        elif before.startswith("-") and "=" not in before and is_secret_key(before.lstrip("-")):
            shown.append("***")
        else:
            shown.append(masked(word))
    return shown


def without_credentials(address: Any) -> str:
    """An address without user and password, as it may be kept."""
    return re.sub(r"(?<=://)[^/?#\s@]*@", "", str(address))
