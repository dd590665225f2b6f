"""Members used where they mean nothing: each says what is wrong, in a sentence."""

import math

import pytest

from keva.testing import Keva

MEMBERS = {
    "url": lambda keva: keva.url,
    "key": lambda keva: keva.key,
    "environ": lambda keva: keva.environ,
    "create_key": lambda keva: keva.create_key(),
    "revoke_key": lambda keva: keva.revoke_key("keva_live_a"),
    "create_workspace": lambda keva: keva.create_workspace(),
    "seed": lambda keva: keva.seed(),
    "tickets": lambda keva: keva.tickets(),
    "ticket": lambda keva: keva.ticket("tkt_1"),
    "messages": lambda keva: keva.messages("tkt_1"),
    "reset": lambda keva: keva.reset(),
    "snapshot": lambda keva: keva.snapshot(),
    "restore": lambda keva: keva.restore(Keva),
    "requests": lambda keva: keva.requests(),
    "wait_for": lambda keva: keva.wait_for(),
    "journal": lambda keva: keva.journal(),
    "fail": lambda keva: keva.fail(),
    "delay": lambda keva: keva.delay(1),
    "drop": lambda keva: keva.drop(),
    "faults": lambda keva: keva.faults(),
    "clear_faults": lambda keva: keva.clear_faults(),
    "webhook": lambda keva: keva.webhook(print),
    "answer": lambda keva: keva.answer("tkt_1", "Hello."),
    "events": lambda keva: keva.events(),
    "wait_for_event": lambda keva: keva.wait_for_event(),
    "send": lambda keva: keva.send("ticket.closed"),
    "deliver": lambda keva: keva.deliver(),
    "deliveries": lambda keva: keva.deliveries(),
    "wait_for_delivery": lambda keva: keva.wait_for_delivery(),
    "now": lambda keva: keva.now,
    "freeze": lambda keva: keva.freeze(),
    "advance": lambda keva: keva.advance(1),
    "unfreeze": lambda keva: keva.unfreeze(),
}


@pytest.fixture(scope="module")
def stopped():
    keva = Keva().start()
    keva.stop()
    return keva


def test_each_member_is_tried_here():
    public = {name for name in dir(Keva) if not name.startswith("_")}
    assert set(MEMBERS) == public - {"start", "stop"}


@pytest.mark.parametrize("member", MEMBERS)
def test_before_the_start_each_member_says_that_it_was_not_started(member):
    with pytest.raises(RuntimeError, match=r"was not started: call start\(\)"):
        MEMBERS[member](Keva())


@pytest.mark.parametrize("member", MEMBERS)
def test_after_the_stop_each_member_says_that_it_was_stopped(stopped, member):
    with pytest.raises(RuntimeError, match="was stopped: start it again"):
        MEMBERS[member](stopped)


def test_a_stop_before_a_start_and_a_second_start_are_told():
    keva = Keva()
    with pytest.raises(RuntimeError, match="was not started"):
        keva.stop()
    with keva:
        url = keva.url
        with pytest.raises(RuntimeError, match="runs already"):
            keva.start()
        assert keva.url == url
    keva.stop()


def test_a_stopped_one_starts_anew():
    keva = Keva()
    with keva:
        keva.seed()
    with keva:
        assert keva.tickets() == []


def test_a_start_that_fails_leaves_nothing_and_may_be_tried_again():
    with Keva() as other:
        keva = Keva(port=int(other.url.rpartition(":")[2]))
        with pytest.raises(Exception, match="is in use"):
            keva.start()
        with pytest.raises(RuntimeError, match="was not started"):
            keva.stop()
    with keva:
        assert keva.tickets() == []


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda keva: keva.seed("subject"), "not a str"),
        (lambda keva: keva.seed({"subject": "a"}), "not a dict"),
        (lambda keva: keva.seed(None), "not a NoneType"),
        (lambda keva: keva.seed(3), "not a int"),
        (lambda keva: keva.seed([1]), "tickets.0: a ticket is a dict"),
        (lambda keva: keva.seed([{}], subject="a"), "one list of tickets"),
        (lambda keva: keva.seed([{}], [{}]), "one list of tickets"),
        (lambda keva: keva.seed(subject=1), "subject must be text"),
        (lambda keva: keva.seed(messages="a"), "messages must be a list"),
        (lambda keva: keva.seed(messages=[1]), "messages.0 must be an object"),
        (lambda keva: keva.seed(**{"a" * 300: 1}), "is not a field"),
        (lambda keva: keva.wait_for(count=0), "0 calls cannot be waited for"),
        (lambda keva: keva.wait_for(count=-1), "-1 calls cannot be waited for"),
        (lambda keva: keva.wait_for(count="1"), "'1' calls cannot"),
        (lambda keva: keva.wait_for(timeout=-1), "-1 is no time to wait"),
        (lambda keva: keva.wait_for(timeout=math.nan), "nan is no time to wait"),
        (lambda keva: keva.wait_for(timeout=None), "None is no time to wait"),
        (lambda keva: keva.requests(method=1), "1 is not a method"),
        (lambda keva: keva.requests(path=1), "No call has a path like 1"),
        (lambda keva: keva.tickets(status="new"), "status must be"),
        (lambda keva: keva.ticket(1), "an id is text, not a int"),
        (lambda keva: keva.messages(None), "an id is text, not a NoneType"),
        (lambda keva: keva.create_key(scopes=None), "tickets:read and tickets:write"),
        (lambda keva: keva.create_key(scopes=[1]), "tickets:read and tickets:write"),
        (lambda keva: keva.create_key(scopes=[[]]), "tickets:read and tickets:write"),
        (lambda keva: keva.revoke_key(None), "a key is text, not a NoneType"),
        (lambda keva: keva.create_workspace(""), "name must not be blank"),
        (lambda keva: keva.create_workspace(1), "name must be text"),
        (lambda keva: keva.fail("503"), "status must be a whole number"),
        (lambda keva: keva.fail(headers=[]), "headers must be an object"),
        (lambda keva: keva.fail(method=1), "method must be"),
        (lambda keva: keva.fail(path=1), "path must be text"),
        (lambda keva: keva.fail(query={"page": 2}), "query.page must be text"),
        (lambda keva: keva.fail(request_headers=[]), "requestHeaders must be an object"),
        (lambda keva: keva.restore(None), "give what snapshot() returned"),
        (lambda keva: keva.delay("1"), "delay must be a number"),
        (lambda keva: keva.delay(math.nan), "delay must be"),
        (lambda keva: keva.webhook(7), "neither a URL nor a function"),
        (lambda keva: keva.webhook("example.com"), "give one such as https://example.com/keva"),
        (lambda keva: keva.webhook(print, events="ticket.closed"), "'ticket.closed' is no list of events"),
        (lambda keva: keva.webhook(print, events=[]), "name some, or leave them out for all"),
        (lambda keva: keva.webhook(print, events=[1]), "There is no event 1"),
        (lambda keva: keva.answer(1, "Hello."), "ticketId must be text"),
        (lambda keva: keva.answer("tkt_1", 1), "body must be text"),
        (lambda keva: keva.answer("tkt_1", tags="login"), "tags must be a list"),
        (lambda keva: keva.answer("tkt_1"), "changes something"),
        (lambda keva: keva.events("ticket.lost"), "There is no event 'ticket.lost'"),
        (lambda keva: keva.send(1), "There is no event 1"),
        (lambda keva: keva.wait_for_event(count=0), "0 events cannot be waited for"),
        (lambda keva: keva.wait_for_event(timeout=None), "None is no time to wait"),
        (lambda keva: keva.wait_for_delivery(count="1"), "'1' deliveries cannot"),
        (lambda keva: keva.deliveries("hook_1"), "give what webhook() returned"),
        (lambda keva: keva.freeze(0), "0 is not a time"),
        (lambda keva: keva.advance("60"), "'60' is no number of seconds"),
        (lambda keva: keva.advance(math.nan), "1970 to 9999"),
    ],
)
def test_what_means_nothing_is_a_value_error_that_says_so(keva, use, told):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  (what it says is looked at below)
        use(keva)
    assert told in str(refused.value)
    assert keva.tickets() == keva.faults() == []


@pytest.mark.parametrize(
    "use",
    [
        lambda keva: keva.create_key(workspace="ws_nope"),
        lambda keva: keva.tickets(workspace_id="ws_nope"),
        lambda keva: keva.webhook(print, workspace="ws_nope"),
    ],
)
def test_a_workspace_that_is_not_there_is_a_key_error(keva, use):
    with pytest.raises(KeyError, match="no workspace ws_nope"):
        use(keva)
