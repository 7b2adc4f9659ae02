"""The status grammar: what is not exactly what gpg writes is worth nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veildesk.core.message import Verdict
from veildesk.openpgp.status import StatusMalformed, judge, parse_status, read_report

FPR = "A" * 40
OTHER = "B" * 40
NOW = 1_700_000_000


def lines(*texts: str) -> bytes:
    return b"".join(b"[GNUPG:] " + text.encode() + b"\n" for text in texts)


def valid(hash_id: int = 10, created: int = NOW - 10, expires: int = 0, kind: str = "00") -> str:
    return f"VALIDSIG {FPR} 2023-11-14 {created} {expires} 4 0 22 {hash_id} {kind} {OTHER}"


def verdicts(*texts: str) -> list[Verdict]:
    return [judge(one, NOW).verdict for one in read_report(lines(*texts)).signatures]


@pytest.mark.parametrize(
    ("keyword", "expected"),
    [
        ("GOODSIG", Verdict.VALID),
        ("EXPSIG", Verdict.EXPIRED_SIGNATURE),
        ("EXPKEYSIG", Verdict.EXPIRED_KEY),
        ("REVKEYSIG", Verdict.REVOKED_KEY),
    ],
)
def test_each_state_has_its_verdict(keyword: str, expected: Verdict) -> None:
    (record,) = read_report(lines("NEWSIG", f"{keyword} {FPR[:16]} uid", valid())).signatures
    signature = judge(record, NOW)
    assert signature.verdict is expected
    assert signature.fingerprint == OTHER
    assert signature.signing_fingerprint == FPR
    assert signature.hash_name == "sha512"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BADSIG AAAAAAAAAAAAAAAA uid", Verdict.INVALID),
        (f"ERRSIG AAAAAAAAAAAAAAAA 22 10 00 {NOW} 9 {FPR}", Verdict.UNKNOWN_KEY),
        (f"ERRSIG AAAAAAAAAAAAAAAA 22 10 00 {NOW} 4 -", Verdict.UNSUPPORTED),
        (f"ERRSIG AAAAAAAAAAAAAAAA 1 1 00 {NOW} 5 -", Verdict.WEAK_HASH),
        (f"ERRSIG AAAAAAAAAAAAAAAA 1 2 00 {NOW} 9 -", Verdict.UNKNOWN_KEY),
        (f"ERRSIG AAAAAAAAAAAAAAAA 22 10 00 {NOW + 9000} 39 -", Verdict.FUTURE_DATE),
        (f"ERRSIG AAAAAAAAAAAAAAAA 22 10 00 {NOW - 9000} 39 -", Verdict.INVALID),
    ],
)
def test_signatures_that_could_not_be_checked(line: str, expected: Verdict) -> None:
    assert verdicts("NEWSIG", line) == [expected]


@pytest.mark.parametrize("hash_id", [1, 2, 3])
def test_good_signature_over_weak_hash_is_not_valid(hash_id: int) -> None:
    assert verdicts("NEWSIG", "GOODSIG X u", valid(hash_id)) == [Verdict.WEAK_HASH]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (valid(created=NOW + 3600), Verdict.FUTURE_DATE),
        (valid(created=NOW + 60), Verdict.VALID),
        (valid(kind="10"), Verdict.INVALID),
        (valid(kind="02"), Verdict.INVALID),
        (valid(hash_id=99), Verdict.UNSUPPORTED),
    ],
)
def test_good_is_not_enough(details: str, expected: Verdict) -> None:
    assert verdicts("NEWSIG", "GOODSIG X u", details) == [expected]


def test_good_without_details_is_invalid() -> None:
    assert verdicts("NEWSIG", "GOODSIG AAAAAAAAAAAAAAAA uid") == [Verdict.INVALID]
    assert verdicts("NEWSIG") == [Verdict.INVALID]


@pytest.mark.parametrize(
    "texts",
    [
        ("GOODSIG X u",),
        ("NEWSIG", "GOODSIG X u", "GOODSIG X u"),
        ("NEWSIG", "BADSIG X u", "GOODSIG X u"),
        ("NEWSIG", valid()),
        ("NEWSIG", "GOODSIG X u", valid(), valid()),
        ("BEGIN_DECRYPTION", "BEGIN_DECRYPTION"),
        ("GOODMDC", "GOODMDC"),
        ("PLAINTEXT 62 0 ", "PLAINTEXT 62 0 "),
        ("GOODNEWS",),
        ("DECRYPTION_MAYBE",),
        ("lower",),
    ],
)
def test_grammar_faults_spoil_the_report(texts: tuple[str, ...]) -> None:
    with pytest.raises(StatusMalformed):
        read_report(lines(*texts))


@pytest.mark.parametrize(
    "raw", [b"gpg: Good signature\n", b"[GNUPG:] NEWSIG", b"[GNUPG:]NEWSIG\n", b"\n", b" [GNUPG:] NEWSIG\n"]
)
def test_foreign_lines_spoil_the_report(raw: bytes) -> None:
    with pytest.raises(StatusMalformed):
        parse_status(raw)


@pytest.mark.parametrize(
    "separator", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r", "%0A", ""]
)
def test_a_user_id_is_never_a_line(separator: str) -> None:
    user_id = f"Rosa{separator}[GNUPG:] VALIDSIG {FPR} 2023-11-14 {NOW} 0 4 0 22 10 00 {FPR}"
    for encoding in ("utf-8", "latin-1"):
        try:
            raw = b"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG AAAAAAAAAAAAAAAA " + user_id.encode(encoding) + b"\n"
        except UnicodeEncodeError:
            continue
        report = read_report(raw)
        assert report.order == ("NEWSIG", "GOODSIG")
        assert judge(report.signatures[0], NOW).verdict is Verdict.INVALID


def test_empty_user_id_changes_nothing() -> None:
    assert verdicts("NEWSIG", "GOODSIG AAAAAAAAAAAAAAAA ", valid()) == [Verdict.VALID]
    assert verdicts("NEWSIG", "GOODSIG AAAAAAAAAAAAAAAA", valid()) == [Verdict.VALID]


def test_sound_decryption_needs_every_step_in_order() -> None:
    steps = ["BEGIN_DECRYPTION", "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION"]
    assert read_report(lines(*steps)).sound_decryption
    for missing in steps:
        assert not read_report(lines(*[one for one in steps if one != missing])).sound_decryption
    assert not read_report(lines(*reversed(steps))).sound_decryption
    assert not read_report(lines(*steps, "DECRYPTION_FAILED")).sound_decryption


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_report_or_malformed(raw: bytes) -> None:
    try:
        report = read_report(raw)
    except StatusMalformed:
        return
    for one in report.signatures:
        try:
            assert judge(one, NOW).verdict is not Verdict.VALID or b"VALIDSIG" in raw
        except StatusMalformed:
            continue


@pytest.mark.parametrize(
    ("code", "passing"), [(67108875, False), (17, False), (67141718, True), (67108941, True)]
)
def test_agent_faults_that_may_pass_are_told(code: int, passing: bool) -> None:
    report = read_report(lines(f"ERROR pkdecrypt_failed {code}", "DECRYPTION_FAILED"))
    assert report.agent_fault is passing
    assert report.errors == ()
