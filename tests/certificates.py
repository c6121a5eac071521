"""Certificates for tests: an authority of their own, what it signs, and what is wrong in some way."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import trustme

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates and writes them into a folder, keys readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.certificate = folder / "authority.pem"
        """What whoever trusts it needs."""
        self._authority.cert_pem.write_to_path(self.certificate)

    def issue(self, name: str, *identities: str, days: int = 365, expired: bool = False, not_yet: bool = False) -> Pair:
        """Writes `name.pem` and `name.key`, or replaces them as they are: the file is written in place.

        Args:
            name: Of the files, and the common name.
            identities: Host names and addresses; by default those of this machine.
            days: How long it is good.
            expired: Its time was over yesterday.
            not_yet: Its time begins tomorrow.
        """
        now = dt.datetime.now(dt.UTC)
        issued = self._authority.issue_cert(
            *(identities or ("localhost", "127.0.0.1", "::1")),
            common_name=name,
            not_before=now + _DAY if not_yet else now - 3 * _DAY,
            not_after=now - _DAY if expired else now + days * _DAY,
        )
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.key.touch(0o600)
        issued.private_key_pem.write_to_path(pair.key)
        pair.certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return pair

    def server_flags(self, pair: Pair, *, mutual: bool = False) -> list[str]:
        """Flags of a server that shows a pair; a mutual one takes only clients of this authority."""
        shown = ["--grpc-server-cert", str(pair.certificate), "--grpc-server-key", str(pair.key)]
        if not mutual:
            return ["--grpc-use-ssl", *shown]
        return ["--grpc-use-ssl-mutual", *shown, "--grpc-root-cert", str(self.certificate)]
