"""How large a request's body may be, and the sentence for one that is larger."""

MAX_BODY = 4 * 1024 * 1024  # bytes
BODY_TOO_LARGE = f"The body is larger than {MAX_BODY // 1024**2} MiB: send at most {MAX_BODY} bytes."
