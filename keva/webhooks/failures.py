"""Why a delivery failed, in words for whoever set up its receiver."""

import errno
import http.client
import socket
import ssl

from keva.webhooks.sockets import MOST_READ, TooLong

# OpenSSL's X509_V_ERR_ codes (x509_vfy.h).
_CERTIFICATES = {
    10: "the certificate has expired",
    18: "the certificate is self-signed, and this machine does not trust it",
    19: "the certificate's authority is not trusted by this machine",
    20: "the certificate's authority is not trusted by this machine",
    62: "the certificate is for another name",
    64: "the certificate is for another address",
}
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}


def in_words(error: Exception, seconds: float) -> str:
    """What went wrong in a try that was given so many seconds."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the name does not resolve"
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(error, TooLong):
        return f"answered with a head over {MOST_READ // 1024} KiB"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, f"the certificate is not valid: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed the connection without an answer"
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS as we do: {(error.reason or 'unknown').replace('_', ' ').lower()}"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return "answered what is not HTTP"
    return _of_the_network(error)


def of_status(status: int) -> str | None:
    """What an answer's status says; None when it means delivered."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _of_the_network(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(error, http.client.RemoteDisconnected):
        return "closed the connection without an answer"
    if isinstance(error, ConnectionError):
        return "reset the connection"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return "cannot be reached from this machine"
    return f"could not be asked: {getattr(error, 'strerror', None) or type(error).__name__}"
