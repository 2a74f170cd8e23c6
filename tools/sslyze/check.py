"""What SSLyze finds of a service: ``check.py PORT CERTIFICATE KEY``. Exit code 1 if it is not what is promised."""

from __future__ import annotations

import sys
from pathlib import Path

from sslyze import (
    ClientAuthenticationCredentials,
    ScanCommand,
    ScanCommandAttemptStatusEnum,
    Scanner,
    ServerNetworkConfiguration,
    ServerNetworkLocation,
    ServerScanRequest,
    ServerScanStatusEnum,
)

HOST = "127.0.0.1"
OLD = {
    "SSL 2.0": ScanCommand.SSL_2_0_CIPHER_SUITES,
    "SSL 3.0": ScanCommand.SSL_3_0_CIPHER_SUITES,
    "TLS 1.0": ScanCommand.TLS_1_0_CIPHER_SUITES,
    "TLS 1.1": ScanCommand.TLS_1_1_CIPHER_SUITES,
    "TLS 1.2": ScanCommand.TLS_1_2_CIPHER_SUITES,
}
NEW = ScanCommand.TLS_1_3_CIPHER_SUITES
MORE = {
    "compression": (ScanCommand.TLS_COMPRESSION, lambda found: found.supports_compression),
    "early data": (ScanCommand.TLS_1_3_EARLY_DATA, lambda found: found.supports_early_data),
    "Heartbleed": (ScanCommand.HEARTBLEED, lambda found: found.is_vulnerable_to_heartbleed),
    "CCS injection": (ScanCommand.OPENSSL_CCS_INJECTION, lambda found: found.is_vulnerable_to_ccs_injection),
    "resumption": (ScanCommand.SESSION_RESUMPTION, lambda found: found.tls_ticket_successful_resumptions_count > 0),
}


def scanned(port: int, commands: set[ScanCommand], credentials: ClientAuthenticationCredentials | None):
    location = ServerNetworkLocation(HOST, port, ip_address=HOST)
    settings = ServerNetworkConfiguration(HOST, tls_client_auth_credentials=credentials)
    scanner = Scanner()
    scanner.queue_scans([ServerScanRequest(location, settings, scan_commands=commands)])
    (result,) = scanner.get_results()
    return result


def main() -> int:
    port, certificate, key = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    wrong = 0

    def say(what: str, found: str, good: bool) -> None:
        nonlocal wrong
        wrong += not good
        print(f"{what:<34} {found}{'' if good else '   NOT AS PROMISED'}")

    stranger = scanned(port, {NEW}, None)
    kept_out = stranger.scan_status is ServerScanStatusEnum.ERROR_NO_CONNECTIVITY
    say("without a certificate", "no connection" if kept_out else "connected", kept_out)
    own = ClientAuthenticationCredentials(certificate, key)
    old = scanned(port, set(OLD.values()), own)
    for name, command in OLD.items():
        attempt = getattr(old.scan_result, command.value)
        known = attempt.status is ScanCommandAttemptStatusEnum.COMPLETED
        accepted = len(attempt.result.accepted_cipher_suites) if known else 0
        # SSLyze's client for SSL 2.0 cannot read a certificate of today; OpenSSL has none of it since 1.1.0.
        say(name, f"{accepted} cipher suites accepted" if known else "could not be tried", accepted == 0)
    full = scanned(port, {NEW, *(command for command, _ in MORE.values())}, own)
    suites = full.scan_result.tls_1_3_cipher_suites.result.accepted_cipher_suites
    say("TLS 1.3", ", ".join(sorted(each.cipher_suite.name for each in suites)), len(suites) > 0)
    for name, (command, bad) in MORE.items():
        attempt = getattr(full.scan_result, command.value)
        known = attempt.status is ScanCommandAttemptStatusEnum.COMPLETED
        found = bad(attempt.result) if known else None
        say(
            name, "unknown: " + str(attempt.error_reason) if found is None else "yes" if found else "no", found is False
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
