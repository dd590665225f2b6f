"""What a caller sent, where telling of it in full would cost more than to send it."""

import json

import pytest

from keva.errors import Invalid
from keva.models import ListQuery, NewTicket
from keva.transfer.records import TicketRecord
from keva.validation import read_object, validate, validate_query

LINE = {"subject": "a", "customerEmail": "a@b", "messages": [{"body": "b"}]}


def test_very_many_fields_are_refused_in_a_few_words():
    sent = json.dumps({f"field_{number}": "" for number in range(50_000)}).encode()
    with pytest.raises(Invalid, match="has 50000 fields") as refused:
        read_object(sent, NewTicket)
    assert len(str(refused.value)) < 200
    assert refused.value.details == []


def test_very_many_parameters_are_refused_in_a_few_words():
    with pytest.raises(Invalid, match="has 3000 parameters") as refused:
        validate_query(ListQuery, [(f"a{number}", "1") for number in range(3000)])
    assert refused.value.details == []


def test_a_long_name_is_cut_in_what_is_told():
    with pytest.raises(Invalid) as refused:
        read_object(json.dumps({"x" * 10_000: ""}).encode(), NewTicket)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", "is empty"),
        (b"{", "not JSON: expecting property name"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b'{"a": 1, "a": 2}', "'a' is given more than once"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"\\ud800": 1}', "half a surrogate pair"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"": 1}', "an empty name is not a field"),
    ],
)
def test_each_way_of_not_being_what_is_wanted_is_told_in_its_own_words(sent, told):
    with pytest.raises(Invalid) as refused:
        read_object(sent, NewTicket)
    assert told in str(refused.value)


# Invisible, blank, of direction, punctuation, symbols, private use, none at all.
NO_LETTERS = "\u0080\u0085\u00a0\u00ad\u200b\u200c\u200d\u200e\u202e\u2066\u2028\u3000\ufeff\ufe0f\u3164\u034f"
NO_LETTERS += "«…€→☺。\uff20\uff0e\ue000\ufffd\uffff"


@pytest.mark.parametrize("character", NO_LETTERS, ids=ascii)
def test_an_email_holds_no_character_that_is_no_letter_mark_or_number(character):
    for email in (f"a{character}b@example.com", f"a@a{character}b.example", f"a@{character}"):
        with pytest.raises(Invalid, match="must be an email address"):
            validate(NewTicket, {"subject": "a", "body": "b", "customerEmail": email})


def test_very_many_wrong_values_are_told_in_a_few_words():
    with pytest.raises(Invalid, match="and 4995 more") as refused:
        validate(TicketRecord, {**LINE, "messages": [{}] * 5000})
    assert refused.value.details[0] == {"field": "messages.0.body", "message": "is required"}
    with pytest.raises(Invalid, match="5000 values do not fit"):
        validate(TicketRecord, {**LINE, "messages": [{"body": "a"}] * 100 + [{}] * 5000})


def test_a_list_that_is_too_long_says_how_long_it_may_be():
    with pytest.raises(Invalid, match=r"^tags must hold at most \d+\.$"):
        validate(TicketRecord, {**LINE, "tags": ["a"] * 100_000})


def test_a_wrong_field_of_a_message_is_told_the_messages_fields():
    with pytest.raises(Invalid, match=r"\(did you mean senderName\?\), which takes id, ticketId, direction"):
        validate(TicketRecord, {**LINE, "messages": [{"body": "b", "sender_name": "a"}]})
