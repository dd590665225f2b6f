"""Input that breaks naive code: each is refused with nothing stored, or kept exactly as it was sent."""

import json

import pytest

from .client import ADD_MESSAGE, CREATE_TICKET, ENDPOINTS, NEW_MESSAGE, NEW_TICKET, UPDATE_TICKET, Call, Client, Write

# Unicode's White_Space.
BLANKS = [chr(c) for c in (*range(0x9, 0xE), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029)]
BLANKS += ["\u202f", "\u205f", "\u3000"]
# What some languages take for blank, and Unicode does not.
NOT_BLANK = ["\x1c", "\x1f", "\u200b", "\u180e", "\ufeff", "\u2060", "\x01"]
FIELDS = {
    CREATE_TICKET: {"subject": 255, "body": 100_000, "customerName": 255, "source": 64},
    UPDATE_TICKET: {"assignedTo": 64},
    ADD_MESSAGE: {"body": 100_000, "senderName": 255, "bodyHtml": 200_000},
}
TEXTS = [(call, field, longest) for call, fields in FIELDS.items() for field, longest in fields.items()]


@pytest.fixture
def writes(client: Client):
    return lambda call: Write(client, call)


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"}", b"nope", b"'a'", b"{'a': 1}", b'{"a": 1,}', b'{"a" 1}', b"// {}", b'{"a": 1} {}'),
        *(b"[]", b"null", b"1", b'"text"', b"true", b"[{}]"),
        *(b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b"NaN"),
        *(b'{"body": "a", "body": "b"}', b'{"a": {"b": 1, "b": 2}}'),
        *(b"\xff\xfe", b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', '{"a": 1}'.encode("utf-16"), b"\xef\xbb\xbf{}"),
        *(b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 50_000),
        b'{"a": ' + b"9" * 5000 + b"}",
        *(b" ", b"\n\n", b"\x00", b'{"\\ud800": 1}', b'{"": 1}'),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_no_json_object_is_refused(write: Write, body: bytes) -> None:
    write.refuses(body)


def test_a_byte_order_mark_is_refused(write: Write) -> None:
    write.refuses(b"\xef\xbb\xbf" + json.dumps(write.good).encode())


def test_a_field_given_twice_is_refused(write: Write) -> None:
    good = json.dumps(write.good)
    write.refuses(good[:-1] + f', "{write.text_field}": "again"}}')


@pytest.mark.parametrize(
    "value",
    ["1", "1.5", "true", "false", "[]", "{}", '["text"]', '{"a": "text"}', "9" * 30, "1e999"],
)
def test_a_value_of_another_type_is_not_turned_into_text(write: Write, value: str) -> None:
    assert write.text_field in write.refuses(write.spoiled(value))


@pytest.mark.parametrize(("call", "field", "_"), TEXTS)
@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800", "\udc00a"], ids=ascii)
def test_nul_and_half_a_surrogate_pair_are_refused(writes, call, field, _, text) -> None:
    write = writes(call)
    assert field in write.refuses(json.dumps(write.good | {field: text}))


@pytest.mark.parametrize(("call", "field", "_"), TEXTS)
def test_text_of_nothing_but_white_space_is_refused(writes, call, field, _) -> None:
    write = writes(call)
    for text in ["", *BLANKS, "".join(BLANKS)]:
        assert field in write.refuses(write.good | {field: text}), ascii(text)


@pytest.mark.parametrize("text", NOT_BLANK, ids=ascii)
def test_text_that_is_not_white_space_is_kept(writes, text) -> None:
    write = writes(ADD_MESSAGE)
    assert write.keeps(write.good | {"body": text})["body"] == text


@pytest.mark.parametrize(("call", "field", "longest"), TEXTS)
@pytest.mark.parametrize("character", ["x", "é", "🎉"])
def test_text_is_measured_in_characters(writes, call, field, longest, character) -> None:
    write = writes(call)
    stored = write.keeps(write.good | {field: character * longest})
    assert stored[field] == character * longest
    assert field in write.refuses(write.good | {field: character * (longest + 1)})


@pytest.mark.parametrize(("call", "field", "_"), TEXTS)
@pytest.mark.parametrize(
    "text",
    [
        "  kept  ",
        "a\r\nb\nc\rd\te",
        "e\u0301 is not é",
        "👩‍👩‍👧 🇺🇳",
        "\\ \" / </script> ' --",
        "null",
        "\u2028\u2029x",
        "\x01\x7f",
    ],
    ids=ascii,
)
def test_text_is_kept_exactly_as_it_was_sent(writes, call, field, _, text) -> None:
    write = writes(call)
    assert write.keeps(write.good | {field: text})[field] == text


@pytest.mark.parametrize("call", ENDPOINTS, ids=str)
def test_an_answer_is_json_in_utf_8_with_its_text_as_it_is(client: Client, call: Call) -> None:
    texts = {"subject": "é 🎉", "body": "é 🎉"}
    sent = {field: texts.get(field, value) for field, value in (call.body or {}).items()}
    answer = client.make(call, client.create(**texts)["id"], json=sent or None)
    assert answer.status_code == call.success
    assert answer.headers["Content-Type"] == "application/json"
    assert "é 🎉".encode() in answer.content


@pytest.mark.parametrize("field", ["customerName", "source", "status", "tags", "nope", "Subject", "customer_email"])
def test_an_unknown_field_is_named(writes, field) -> None:
    write = writes(ADD_MESSAGE)
    assert field in write.refuses(write.good | {field: "a"})


@pytest.mark.parametrize("call", [CREATE_TICKET, ADD_MESSAGE], ids=str)
def test_what_is_missing_is_named_all_at_once(writes, call) -> None:
    required = set(NEW_TICKET if call is CREATE_TICKET else NEW_MESSAGE)
    assert set(writes(call).refuses({})) == required


@pytest.mark.parametrize(
    ("call", "field"),
    [(call, field) for call, field, _ in TEXTS if field != "assignedTo"]
    + [(UPDATE_TICKET, "status"), (UPDATE_TICKET, "priority"), (ADD_MESSAGE, "direction")],
)
def test_null_is_refused_but_for_an_assignee(writes, call, field) -> None:
    write = writes(call)
    assert field in write.refuses(write.good | {field: None})


GOOD_EMAILS = [
    "a@b",
    "a.b+c@example.com",
    "!#$%&'*+/=?^_`{|}~-@example.com",
    ".a.@a-b.example",
    "a@1.2",
    "A@EXAMPLE.COM",
    "jané@example.com",
    "a@exämple.com",
    "é@é",
    "e\u0301@a",
    "用户@例子.公司",
    "дима@почта.рф",
    "δοκιμή@παράδειγμα.δοκιμή",
    "डेटा@मेल.भारत",
    "مثال@موقع.إختبار",
    "דוגמה@דוגמה.קום",
    "ユーザー@ドメイン.jp",
    "อีเมล@ตัวอย่าง.ไทย",
    "٣@३.example",
    "ß.ß+ß@straße-ß.example",
    "𞤀@example.com",
]
BAD_EMAILS = [
    *("", " ", "a", "@", "a@", "@b", "a@@b", "a b@c", "a@b c", "a@b.", "a@.b", "a@b..c", "a@-b", "a@b-", "a@b_c"),
    *("<a@b>", "a@b,c@d", "a@b\n", "\na@b", '"a b"@c', "a@[127.0.0.1]", "a@b\0", "a@" + "b" * 64),
    *("é", "é@", "@é", "a@é.", "a@.é", "a@é..é", "a@-é", "a@é-", "a@é_é", "é é@a", "é@é@é", "a@" + "é" * 64),
    *("a\u00a0@example.com", "a\u200b@example.com", "\u202ea@example.com", "a@b\uff0ec", "a\uff20b@c", "a@☺.example"),
]


@pytest.mark.parametrize(("call", "field"), [(CREATE_TICKET, "customerEmail"), (ADD_MESSAGE, "senderEmail")])
class TestEmails:
    @pytest.mark.parametrize("email", GOOD_EMAILS, ids=ascii)
    def test_an_email_is_taken_as_a_browser_takes_it_and_with_the_letters_of_any_script(
        self, writes, call, field, email
    ) -> None:
        write = writes(call)
        assert write.keeps(write.good | {field: email})[field] == email

    @pytest.mark.parametrize("email", BAD_EMAILS, ids=ascii)
    def test_one_that_is_none_is_refused(self, writes, call, field, email) -> None:
        write = writes(call)
        assert field in write.refuses(write.good | {field: email})

    def test_an_email_has_254_characters_at_most(self, writes, call, field) -> None:
        write = writes(call)
        domain = "@" + ".".join(["d" * 60] * 3)
        write.keeps(write.good | {field: "a" * (254 - len(domain)) + domain})
        write.refuses(write.good | {field: "a" * (255 - len(domain)) + domain})
        write.keeps(write.good | {field: "é" * (254 - len(domain)) + domain})
        write.refuses(write.good | {field: "é" * (255 - len(domain)) + domain})


@pytest.mark.parametrize(
    ("call", "field", "values"),
    [
        (UPDATE_TICKET, "status", ["open", "pending", "solved", "closed"]),
        (UPDATE_TICKET, "priority", ["low", "medium", "high", "urgent"]),
        (ADD_MESSAGE, "direction", ["inbound", "outbound"]),
    ],
)
def test_a_closed_set_of_values_is_taken_and_nothing_beside_it(writes, call, field, values) -> None:
    write = writes(call)
    for value in values:
        assert write.keeps(write.good | {field: value})[field] == value
    for value in ("", "Open", values[0].upper(), values[0] + " ", "new"):
        told = write.refuses(write.good | {field: value})[field]
        assert all(value in told for value in values)
