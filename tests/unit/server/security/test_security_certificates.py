"""Certificates are found to be wrong before they are used, and the message says which and why."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pasarela_server.security.certificates import CertificateFiles, load_certificates
from pasarela_server.security.files import UnusableFile
from tests.certificates import Authority

CERT, KEY, ROOTS = "--grpc-server-cert", "--grpc-server-key", "--grpc-root-cert"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def files(authority: Authority) -> CertificateFiles:
    """A pair, and an authority, that are as they should be; each test spoils them."""
    pair = authority.issue("server")
    roots = pair.key.with_name("roots.pem")
    shutil.copyfile(authority.certificate, roots)
    return CertificateFiles(pair.certificate, pair.key, roots)


def test_what_fits_is_taken_as_it_is_written(files: CertificateFiles) -> None:
    assert files.roots is not None
    loaded = load_certificates(files)
    assert loaded.certificate == files.certificate.read_bytes()
    assert loaded.key == files.key.read_bytes()
    assert loaded.roots == files.roots.read_bytes()
    left = loaded.expires - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=364) < left <= dt.timedelta(days=365)


def test_without_authorities_none_are_read(files: CertificateFiles) -> None:
    assert load_certificates(CertificateFiles(files.certificate, files.key)).roots is None


def test_a_chain_is_taken_whole(files: CertificateFiles, authority: Authority) -> None:
    with files.certificate.open("ab") as file:
        file.write(authority.certificate.read_bytes())
    assert load_certificates(files).certificate.count(b"BEGIN") == 2


def encrypt(key: Path) -> None:
    plain = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def scramble(path: Path) -> None:
    lines = path.read_text().splitlines()
    lines[1] = lines[1][::-1]
    path.write_text("\n".join(lines))


def authority_of_another_kind(path: Path) -> None:
    """A certificate that signs nothing."""
    path.write_bytes(Authority(path.parent / "other").issue("leaf").certificate.read_bytes())


Spoil = Callable[[CertificateFiles, Authority], object]

WRONG: list[tuple[str, Spoil, str, str]] = [
    # what is wrong, how it comes to be, the flag that is to blame, what is said of it
    ("no certificate file", lambda f, _: f.certificate.unlink(), CERT, "No such file or directory"),
    ("no key file", lambda f, _: f.key.unlink(), KEY, "No such file or directory"),
    ("no file of authorities", lambda f, _: f.roots.unlink(), ROOTS, "No such file or directory"),
    ("a folder", lambda f, _: (f.key.unlink(), f.key.mkdir()), KEY, "Is a directory"),
    ("an empty certificate", lambda f, _: f.certificate.write_text("\n"), CERT, "it is empty"),
    ("far too large", lambda f, _: f.key.write_bytes(bytes(range(256)) * 20_000), KEY, "it is larger than 4 MiB"),
    ("no PEM", lambda f, _: f.certificate.write_text("hello"), CERT, "no block -----BEGIN CERTIFICATE-----"),
    ("the two files exchanged", lambda f, _: f.key.replace(f.certificate), CERT, "it holds no CERTIFICATE in PEM"),
    ("a certificate as key", lambda f, _: shutil.copyfile(f.certificate, f.key), KEY, "it holds no PRIVATE KEY in PEM"),
    ("a certificate that is cut short", lambda f, _: cut(f.certificate), CERT, "it is cut short"),
    ("a key that is cut short", lambda f, _: cut(f.key), KEY, "it is cut short"),
    ("authorities that are cut short", lambda f, _: cut(f.roots), ROOTS, "it is cut short"),
    ("a scrambled certificate", lambda f, _: scramble(f.certificate), CERT, "OpenSSL cannot read it"),
    ("a scrambled key", lambda f, _: scramble(f.key), KEY, "OpenSSL takes it not as a key"),
    ("a scrambled authority", lambda f, _: scramble(f.roots), ROOTS, "OpenSSL cannot read it"),
    ("a key under a pass phrase", lambda f, _: encrypt(f.key), KEY, "nobody is there to type a pass phrase"),
    ("the key of another", lambda f, a: shutil.copyfile(a.issue("another").key, f.key), KEY, "not the key of the"),
    ("over", lambda _, a: a.issue("server", expired=True), CERT, "certificate has expired"),
    ("not begun", lambda _, a: a.issue("server", not_yet=True), CERT, "certificate is not yet valid"),
    ("no authority", lambda f, _: authority_of_another_kind(f.roots), ROOTS, "is that of an authority"),
    ("authorities not in ASCII", lambda f, _: f.roots.write_bytes(f.roots.read_bytes() + b"\xff"), ROOTS,
     "OpenSSL cannot read it"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "flag", "words"), [pytest.param(*row[1:], id=row[0]) for row in WRONG])
def test_what_is_wrong_is_named(
    files: CertificateFiles, authority: Authority, spoil: Spoil, flag: str, words: str
) -> None:
    spoil(files, authority)
    with pytest.raises(UnusableFile) as refused:
        load_certificates(files)
    blamed = {CERT: files.certificate, KEY: files.key, ROOTS: files.roots}[flag]
    assert str(refused.value).startswith(f"{flag} {blamed}: ")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pair_that_changes_while_it_is_read_is_refused(
    files: CertificateFiles, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other pair is as good, and would be taken: but what was read first is not what was checked."""
    from pasarela_server.security import certificates

    check = certificates._check_pair

    def exchanging(checked: CertificateFiles) -> dt.datetime:
        authority.issue("server")
        return check(checked)

    monkeypatch.setattr(certificates, "_check_pair", exchanging)
    with pytest.raises(UnusableFile, match="was written to while it was read"):
        load_certificates(files)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[CertificateFiles, dict[str, bytes]]:
    """Where a pair lies, and what is in its files."""
    issued = Authority(tmp_path_factory.mktemp("pair")).issue("server")
    files = CertificateFiles(issued.certificate, issued.key)
    return files, {"certificate": issued.certificate.read_bytes(), "key": issued.key.read_bytes()}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(share=st.floats(0, 1), of=st.sampled_from(["certificate", "key"]))
def test_no_beginning_of_a_file_is_taken_for_the_whole(
    pair: tuple[CertificateFiles, dict[str, bytes]], share: float, of: str
) -> None:
    """At whichever byte a writer stands."""
    files, whole = pair
    for kind, content in whole.items():
        getattr(files, kind).write_bytes(content)
    written = whole[of][: round(share * len(whole[of]))]
    getattr(files, of).write_bytes(written)
    try:
        loaded = load_certificates(files)
    except UnusableFile as refused:
        assert written.strip() != whole[of].strip()
        assert str(getattr(files, of)) in str(refused)
    else:
        assert getattr(loaded, of).strip() == whole[of].strip()
