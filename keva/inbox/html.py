"""The HTML of a message as a page of its own: whatever is in it, it runs no script, sends no form, asks nobody."""

from flask import Response

_SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
_POLICY = (
    f"sandbox {_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src {{images}}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
# Links open in a tab of their own; a mail is written for a white page.
_START = """<!doctype html>
<meta charset="utf-8">
<base target="_blank">
<style>:root { color-scheme: light; background: #fff; color: #111; font: 15px/1.5 system-ui, sans-serif; }</style>
"""


def response(body: str, pictures: bool) -> Response:
    """`pictures` from elsewhere, over https, tell their sender that the message was opened."""
    answer = Response(_START + body, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = _POLICY.format(images="https: data:" if pictures else "data:")
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-DNS-Prefetch-Control"] = "off"
    return answer
