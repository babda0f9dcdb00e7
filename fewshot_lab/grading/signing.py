"""An instructor's signature on a verified record, by Ed25519 (RFC 8032): made with a secret key, confirmed with the public one.

A learner's machine has no secret that its owner lacks, so a signature made there would prove nothing. An instructor's key is
on the instructor's machine alone, and anyone who knows its public half can see who vouched, without asking anybody.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ..attempts import file as attempts_file
from ..errors import CourseError
from ..files import write_atomically
from ..languages import say
from .progress_record import Record, canonical
from .receipts import moment, now
from .submissions import tidy


@dataclass(frozen=True)
class Vouched:
    """Who vouched for a record, when (ISO format, UTC), and the public key, 64 hexadecimal digits."""

    by: str
    time: str
    key: str


def key_file() -> Path:
    """Where this user's secret key is kept, beside the file of progress."""
    return attempts_file().with_name("signing_key.pem")


def public_key() -> str:
    """The public half of this user's key, 64 hexadecimal digits; a key is made where there is none."""
    return _hex(_secret().public_key())


def sign(record: Record, by: str) -> Record:
    """The record with a signature on all of it, and on the name and the time; raises CourseError where no key can be used."""
    secret = _secret()
    vouched = {"by": tidy(by), "time": now(), "key": _hex(secret.public_key())}
    vouched["signature"] = secret.sign(_message(record, vouched)).hex()
    return Record(record.learner, record.exported, record.course, record.chapters, record.tree | {"vouched": vouched})


def vouched(record: Record) -> Vouched | None:
    """Who vouched for a record, None where nobody did; raises CourseError where the signature is not of this record."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    found = record.tree.get("vouched")
    if found is None:
        return None
    try:
        signed = {name: found[name] for name in ("by", "time", "key")}
        if not all(isinstance(value, str) for value in signed.values()) or moment(signed["time"]) is None:
            raise ValueError("no signature")
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["key"]))
        public.verify(bytes.fromhex(found["signature"]), _message(record, signed))
    except (InvalidSignature, KeyError, TypeError, ValueError) as error:
        raise CourseError(
            say(
                "The signature is not of this record: the record or the signature was changed after signing. Ask whoever "
                "signed it for the file again."
            )
        ) from error
    return Vouched(tidy(signed["by"]), signed["time"], _hex(public))


def _message(record: Record, signed: dict) -> bytes:
    """What is signed: the record, by its checksum, with the signer's name, time and key."""
    return canonical({"record": record.checksum} | {name: signed[name] for name in ("by", "time", "key")})


def _secret():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = key_file()
    try:
        if path.exists():
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError("another kind of key")
            return key
    except (OSError, ValueError, TypeError) as error:
        words = say(
            "{file} holds no key that can be used ({reason}). Take it from a backup, or remove it.", file=path, reason=error
        )
        raise CourseError(words) from error
    key = Ed25519PrivateKey.generate()
    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    before = os.umask(0o077)  # never readable by others, not even for a moment
    try:
        write_atomically(path, key.private_bytes(*kind))
    finally:
        os.umask(before)
    return key


def _hex(public) -> str:
    return public.public_bytes_raw().hex()
