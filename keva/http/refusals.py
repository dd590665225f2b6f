"""What is refused before the application has seen it: each reason in a sentence, and its answer."""

from http import HTTPStatus

from waitress.utilities import build_http_date

from keva import errors

MAX_HEADERS = 100

NOT_HTTP = "This is not a valid HTTP request: check its first line and its headers, each ended by CR LF."
NOT_TLS = "This service speaks plain HTTP: start its address with http://, not https://."

# The first line
BARE_LINE_END = "A line of the head ends without CR LF, or holds one of the two alone: end each line with both."
CONTROL_CHARACTER = "The first line holds a control character: percent-encode it."
NOT_ASCII = "The address holds characters beyond ASCII: percent-encode their UTF-8, é as %C3%A9."
BLANK_IN_ADDRESS = "The address holds a blank: write it as %20."
NO_VERSION = "The first line names no version of HTTP: end it with HTTP/1.1."
SMALL_VERSION = "The version of HTTP is written in capitals: end the first line with HTTP/1.1."
BAD_VERSION = "Only HTTP/1.0 and HTTP/1.1 are spoken here: end the first line of the request with HTTP/1.1."
BAD_ADDRESS = "The first line's address is neither a path nor a URL: begin it with a slash."
ONE_BLANK = "The first line holds blanks too many: write one between method, address and version, and none around."

# The headers
NO_COLON = "The head's line {number} has no colon: write each header as its name, a colon and its value."
BAD_NAME = (
    "The head's line {number} has a header whose name is not one: no blank and no special character may be in it."
)
BAD_VALUE = "The head's line {number} has a header with a control character in its value: take it out."
FOLDED = "The head's line {number} continues the header before it: write each header on one line."
TWICE = "{name} is sent more than once: send it once."
NO_HOST = "HTTP/1.1 requires the Host header: send it with the name or the address of this server."
BAD_HOST = "The Host header is not valid: send the name or the address of this server, and its port if it has one."
TOO_MANY_HEADERS = f"There are more than {MAX_HEADERS} headers: send fewer."
HEAD_TOO_LARGE = (
    "The first line and the headers are larger than 32 KiB together: send a shorter address and fewer headers."
)

# The body
BAD_LENGTH = "Content-Length is not a number: send the body's bytes in decimal digits."
TWO_LENGTHS = (
    "Content-Length and Transfer-Encoding exclude each other: send one of them, the latter with HTTP/1.1 only."
)
BAD_CODING = "Only the transfer encoding chunked is understood, applied once: send Content-Length or chunks."
BAD_CHUNKS = "The body's chunks are not valid: send each as its size in hexadecimal, CR LF, its bytes and CR LF."
TINY_CHUNKS = "The body is cut into too many small chunks: send larger ones."

# The service's state
TOO_MANY_BODIES = "Too many large requests are under way: try again in a second."
TOO_MANY_ANSWERS = "Too many large answers are under way: try again in a second."
BUSY = "More requests are waiting than can be served: try again in a second."
STOPPING = "The server is stopping: try again in a second."
CRASHED = "Something went wrong here: the log of the server has the details."


class ProtocolError(Exception):
    """A request that is answered without the application; the connection ends with it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence

    def answer(self, method: str) -> bytes:
        body = errors.body(self.sentence)
        head = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "Connection: close",
            f"Content-Length: {len(body)}",
            "Content-Type: application/json",
            f"Date: {build_http_date(None)}",
            *(["Retry-After: 1"] if self.status == 503 else []),
        ]
        return "\r\n".join([*head, "\r\n"]).encode() + (b"" if method == "HEAD" else body)
