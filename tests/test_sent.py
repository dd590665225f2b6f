"""What a caller sent, where telling of it in full would cost more than to send it."""

import json

import pytest

from keva.errors import Invalid
from keva.models import NewTicket
from keva.sent import read_object


def test_very_many_fields_are_refused_in_a_few_words():
    sent = json.dumps({f"field_{number}": "" for number in range(50_000)}).encode()
    with pytest.raises(Invalid, match="has 50000 fields") as refused:
        read_object(sent, NewTicket)
    assert len(str(refused.value)) < 200
    assert refused.value.details == []


def test_a_long_name_is_cut_in_what_is_told():
    with pytest.raises(Invalid) as refused:
        read_object(json.dumps({"x" * 10_000: ""}).encode(), NewTicket)
    assert len(str(refused.value)) < 1000
