"""A ticket's page: what it tells, replies and changes by two people at once, and what is sent twice."""

import re

import pytest

from tests.inbox.pages import change, create, hidden, messages, say, ticket


def reply(client, page, ticket_id, body, **fields):
    sent = {"body": body, "form": hidden(page, "form"), "seen": hidden(page, "seen")} | fields
    return client.post(f"/inbox/{ticket_id}/reply", data=sent)


def test_it_tells_who_said_and_did_what_in_order(desk, client):
    made = create(desk)
    change(desk, made, priority="high", status="pending")
    say(desk, made, "Any update?")
    page = client.get(f"/inbox/{made}").text
    places = [
        page.index(part)
        for part in (
            "It really did.",
            "set status to pending, from open; set priority to high, from medium",
            "Any update?",
        )
    ]
    assert places == sorted(places)
    assert '<b dir="auto">The API</b>' in page


def test_a_reply_is_an_outbound_message_of_the_users_and_sets_the_status(desk, client):
    made = create(desk)
    answer = reply(client, client.get(f"/inbox/{made}").text, made, "It is on its way.\r\nBye", then="solved")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"/inbox/{made}?sent=")
    [_, said] = messages(desk, made)
    assert (said["direction"], said["senderEmail"], said["senderName"]) == (
        "outbound",
        "support@example.com",
        "Support",
    )
    assert said["body"] == "It is on its way.\nBye"
    assert ticket(desk, made)["status"] == "solved"


def test_a_reply_sent_twice_is_stored_once_and_another_one_of_the_same_form_is_stored_too(desk, client):
    made = create(desk)
    page = client.get(f"/inbox/{made}").text
    for body in ("Once.", "Once.", "Twice.", "Once."):
        assert reply(client, page, made, body).status_code == 303
    assert [one["body"] for one in messages(desk, made)][1:] == ["Once.", "Twice."]
    assert reply(client, page, made, "Once.", then="solved").status_code == 303
    assert len(messages(desk, made)) == 3
    assert ticket(desk, made)["status"] == "solved"
    change(desk, made, status="open")
    assert reply(client, page, made, "Once.", then="solved").status_code == 303
    assert ticket(desk, made)["status"] == "open"  # what was carried out is not, once more
    say(desk, made, "Me too.")  # which is no reason to doubt what has arrived
    assert reply(client, page, made, "Once.").status_code == 303


def test_who_replies_is_told_what_others_did_since_the_page_was_drawn_and_keeps_what_was_typed(desk, client):
    made = create(desk)
    page = client.get(f"/inbox/{made}").text
    with desk.client(desk.user("Ann")) as ann:
        reply(ann, ann.get(f"/inbox/{made}").text, made, "I have <it>.", then="pending")
    answer = reply(client, page, made, "Me too & more.")
    assert answer.status_code == 409
    assert "Not sent yet" in answer.text
    assert re.search(r"<b[^>]*>Ann</b> wrote: I have &lt;it&gt;\.", answer.text)
    assert re.search(r"<b[^>]*>Ann</b> set status to pending, from open", answer.text)
    assert "Me too &amp; more.</textarea>" in answer.text
    assert len(messages(desk, made)) == 2

    assert reply(client, answer.text, made, "Me too & more.").status_code == 303
    assert len(messages(desk, made)) == 3


def test_ones_own_doings_are_no_news_to_oneself(desk, client):
    made = create(desk)
    page = client.get(f"/inbox/{made}").text
    reply(client, client.get(f"/inbox/{made}").text, made, "In another tab.")
    assert reply(client, page, made, "And here.").status_code == 303


def test_a_change_changes_what_was_set_and_nothing_else(desk, client):
    made = create(desk)
    page = client.get(f"/inbox/{made}").text
    me = desk.first
    form = {
        "seen": hidden(page, "seen"),
        "status": "open",
        "was_status": "open",
        "priority": "urgent",
        "was_priority": "medium",
    }
    change(desk, made, status="pending")
    answer = client.post(f"/inbox/{made}/change", data=form | {"assignedTo": me.id, "was_assignedTo": ""})
    assert answer.status_code == 409
    assert "The API" in answer.text
    form["seen"] = hidden(answer.text, "seen")
    assert (
        client.post(f"/inbox/{made}/change", data=form | {"assignedTo": me.id, "was_assignedTo": ""}).status_code == 303
    )
    found = ticket(desk, made)
    assert (found["status"], found["priority"], found["assignedTo"]) == ("pending", "urgent", me.id)
    client.post(f"/inbox/{made}/change", data={"seen": "999", "assignedTo": "", "was_assignedTo": me.id})
    assert ticket(desk, made)["assignedTo"] is None


@pytest.mark.parametrize("back", ["/inbox", "/inbox?status=open&before=7"])
def test_solving_from_the_list_leads_back_to_it(desk, client, back):
    made = create(desk)
    answer = client.post(f"/inbox/{made}/change", data={"status": "solved", "seen": "999", "back": back})
    assert answer.headers["Location"] == back
    assert ticket(desk, made)["status"] == "solved"


@pytest.mark.parametrize("back", ["https://example.com/", "//example.com", "/inboxes", "/inbox/sign-out", "/inbox\\@x"])
def test_it_leads_nowhere_else(desk, client, back):
    made = create(desk)
    answer = client.post(f"/inbox/{made}/change", data={"status": "solved", "seen": "999", "back": back})
    assert answer.headers["Location"] == f"/inbox/{made}"


@pytest.mark.parametrize("values", [{"status": "gone"}, {"priority": ""}, {"assignedTo": "x" * 65}])
def test_a_change_that_does_not_fit_is_refused(desk, client, values):
    made = create(desk)
    before = ticket(desk, made)
    assert client.post(f"/inbox/{made}/change", data={"seen": "999", **values}).status_code == 400
    assert ticket(desk, made) == before


@pytest.mark.parametrize("body", ["", "  \r\n ", "x" * 100_001, "a\0b"])
def test_a_reply_that_does_not_fit_is_told_of_and_kept(desk, client, body):
    made = create(desk)
    answer = reply(client, client.get(f"/inbox/{made}").text, made, body)
    assert answer.status_code == 400
    assert '<p class="wrong" role="alert">The reply ' in answer.text
    assert len(messages(desk, made)) == 1


def test_a_long_message_a_subject_without_a_blank_and_other_scripts_are_there_whole(desk, client):
    body = "x" * 99_990 + "\U0001f600 שלום"
    made = create(desk, subject="W" * 255, body=body)
    page = client.get(f"/inbox/{made}").text
    assert body in page
    assert "W" * 255 in page
    assert reply(client, page, made, "y" * 100_000).status_code == 303
    assert len(messages(desk, made)[1]["body"]) == 100_000


def test_a_long_thread_shows_its_end_first(desk, client, monkeypatch):
    monkeypatch.setattr("keva.inbox.thread.SHOWN", 2)
    moment = 1_700_000_000
    desk.database.clock = lambda: moment
    made = create(desk)
    change(desk, made, status="pending")
    for number in range(4):
        moment += 60
        say(desk, made, f"Message {number}.")
    change(desk, made, priority="high")
    page = client.get(f"/inbox/{made}").text
    assert "set priority to high" in page
    assert "set status to pending" not in page
    assert "Message 3." in page
    assert "Message 1." not in page
    assert "the 3 earlier messages" in page
    whole = client.get(f"/inbox/{made}?all").text
    assert "Message 1." in whole
    assert "set status to pending" in whole


def test_the_customers_other_tickets_are_there(desk, client):
    made = [create(desk, subject=f"Subject {number}") for number in range(7)]
    create(desk, subject="Somebody else's", customerEmail="joe@example.com")
    page = client.get(f"/inbox/{made[0]}").text
    side = page[page.index("Other tickets") :]
    assert re.findall(r"Subject \d", side) == [f"Subject {number}" for number in (6, 5, 4, 3, 2)]
    assert "Somebody" not in side


def test_news_of_a_ticket_tells_who_did_what_to_it(desk, client):
    made, other = create(desk), create(desk)
    news = re.search(r'data-news="([^"]*)"', client.get(f"/inbox/{made}").text)[1]
    say(desk, other, "Elsewhere.")
    assert client.get(news).status_code == 204
    say(desk, made, "Here.", senderName="<b>Jane</b>")
    change(desk, made, status="pending")
    answer = client.get(news)
    assert "2 new: &lt;b&gt;Jane&lt;/b&gt; wrote and more. Show them" in answer.text


def test_a_new_ticket_is_made_once_as_if_the_customer_had_sent_it(desk, client):
    page = client.get("/inbox/new").text
    typed = {
        "subject": "Called",
        "customerEmail": "joe@example.com",
        "customerName": "",
        "body": "He called.",
        "form": hidden(page, "form"),
    }
    first, second = (client.post("/inbox/new", data=typed) for _ in range(2))
    assert first.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    [made] = desk.api("GET", "/api/v1/tickets").json()["data"]
    assert (made["source"], made["status"], made["customerName"]) == ("inbox", "open", None)
    [message] = messages(desk, made["id"])
    assert (message["direction"], message["senderEmail"], message["body"]) == (
        "inbound",
        "joe@example.com",
        "He called.",
    )


def test_a_new_ticket_that_does_not_fit_is_told_field_by_field(desk, client):
    answer = client.post(
        "/inbox/new", data={"subject": "<Called>", "customerEmail": "nobody", "body": " ", "form": "f"}
    )
    assert answer.status_code == 400
    assert "must be an email address such as customer@example.com" in answer.text
    assert "must not be blank" in answer.text
    assert 'value="&lt;Called&gt;"' in answer.text
    assert desk.api("GET", "/api/v1/tickets").json()["data"] == []
