"""GET /api/v1/tickets"""

import pytest

from .client import TICKET_FIELDS, TICKETS, Client, refused

STATUSES = ["open", "pending", "solved", "closed"]


def walked(client: Client, extra: str) -> tuple[set[str], list[str], list[str]]:
    """Seven new ids, and the newest 15 on three pages and on one, while the list was at rest."""
    for _ in range(10):
        made = {client.create()["id"] for _ in range(7)}
        total, before = client.total(), client.newest(f"?per_page=15{extra}")
        pages = [ticket["id"] for page in (1, 2, 3) for ticket in client.newest(f"?per_page=5{extra}&page={page}")]
        # A ticket opened and closed meanwhile shows in the total alone.
        if (client.newest(f"?per_page=15{extra}"), client.total()) == (before, total):
            return made, pages, [ticket["id"] for ticket in before]
    pytest.skip("the list is never at rest")


def test_a_page_holds_tickets_and_its_pagination(client: Client, ticket: dict) -> None:
    answer = client.get(TICKETS)
    assert answer.status_code == 200
    assert list(answer.json()) == ["data", "pagination"]
    assert list(answer.json()["pagination"]) == ["page", "perPage", "total"]
    assert all(type(number) is int for number in answer.json()["pagination"].values())
    assert all(list(listed) == TICKET_FIELDS for listed in answer.json()["data"])


def test_a_ticket_is_listed_as_it_is_got(client: Client, ticket: dict) -> None:
    assert ticket in client.newest()


def test_without_parameters_it_is_the_first_page_of_twenty(client: Client) -> None:
    for _ in range(21):
        client.create()
    answered = client.get(TICKETS).json()
    assert (answered["pagination"]["page"], answered["pagination"]["perPage"]) == (1, 20)
    assert len(answered["data"]) == 20


@pytest.mark.parametrize("per_page", [1, 2, 100])
def test_a_page_is_as_long_as_asked_for(client: Client, ticket: dict, per_page: int) -> None:
    answered = client.get(f"{TICKETS}?per_page={per_page}").json()
    assert answered["pagination"]["perPage"] == per_page
    # The total was counted with the page, so it says how many there were to show.
    assert len(answered["data"]) == min(per_page, answered["pagination"]["total"])


def test_the_newest_ticket_comes_first_also_within_a_second(client: Client) -> None:
    made = [client.create()["id"] for _ in range(10)]
    listed = [ticket["id"] for ticket in client.newest() if ticket["id"] in made]
    assert listed == made[::-1]


def test_a_changed_ticket_keeps_its_place(client: Client) -> None:
    made = [client.create()["id"] for _ in range(3)]
    client.patch(f"{TICKETS}/{made[0]}", {"priority": "urgent"})
    listed = [ticket["id"] for ticket in client.newest() if ticket["id"] in made]
    assert listed == made[::-1]


@pytest.mark.parametrize("extra", ["", "&status=open"])
def test_walking_the_pages_shows_each_ticket_once(client: Client, extra: str) -> None:
    made, on_pages, at_once = walked(client, extra)
    assert len(set(on_pages)) == len(on_pages)
    assert made <= set(on_pages)
    assert on_pages == at_once


@pytest.mark.parametrize("page", ["100000", "999999999999999"])
def test_a_page_past_the_end_is_empty_and_tells_the_true_total(client: Client, ticket: dict, page: str) -> None:
    least = client.total()
    answer = client.get(f"{TICKETS}?page={page}")
    assert answer.status_code == 200
    assert answer.json()["data"] == []
    assert answer.json()["pagination"]["page"] == int(page)
    assert answer.json()["pagination"]["total"] >= least > 0


def test_the_total_counts_what_was_created(client: Client) -> None:
    before = client.total()
    for _ in range(3):
        client.create()
    assert client.total() >= before + 3


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_lists_only_its_tickets(client: Client, ticket: dict, status: str) -> None:
    client.patch(f"{TICKETS}/{ticket['id']}", {"status": status})
    for filtered in STATUSES:
        listed = client.newest(f"?status={filtered}&per_page=100")
        assert {other["status"] for other in listed} <= {filtered}
        assert (ticket["id"] in [other["id"] for other in listed]) == (filtered == status)


def test_the_total_of_a_status_counts_only_its_tickets(client: Client) -> None:
    def others() -> int:
        return sum(client.total(f"?status={status}") for status in STATUSES)

    for _ in range(3):
        if client.total() == others() == client.total():
            return
    pytest.fail("the totals of the four statuses do not add up to the total")


@pytest.mark.parametrize("page", ["1", "2", "15", "999999999999999"])
def test_a_page_is_a_number_of_at_most_15_digits(client: Client, page: str) -> None:
    assert client.get(f"{TICKETS}?page={page}").status_code == 200


@pytest.mark.parametrize("field", ["page", "per_page"])
@pytest.mark.parametrize(
    "value",
    [
        *(
            "0",
            "-1",
            "-0",
            "%2B1",
            "1.0",
            "1.",
            "1e1",
            "0x1",
            "1_0",
            "%201",
            "1%20",
            "1%0A",
            "1%00",
            "1,2",
            "one",
            "null",
        ),
        *("true", "NaN", "Infinity", "%D9%A3", "%EF%BC%91", "%C2%B2", "%FF", "[1]", "1" * 16, "9" * 19, "9" * 5000),
    ],
    ids=lambda value: value[:20],
)
def test_a_number_that_is_not_plain_digits_in_range_is_refused(client: Client, field: str, value: str) -> None:
    assert list(refused(client.get(f"{TICKETS}?{field}={value}"), 400)) == [field]


@pytest.mark.parametrize("value", ["101", "1000", "999999999999999"])
def test_more_than_a_hundred_a_page_is_refused_not_cut_down(client: Client, value: str) -> None:
    assert list(refused(client.get(f"{TICKETS}?per_page={value}"), 400)) == ["per_page"]


@pytest.mark.parametrize("value", ["Open", "OPEN", "new", "open,closed", "open%20", "%20open", "open%00", "%FF", "all"])
def test_a_status_that_is_not_one_of_the_four_is_refused(client: Client, value: str) -> None:
    assert list(refused(client.get(f"{TICKETS}?status={value}"), 400)) == ["status"]


@pytest.mark.parametrize(
    "query", ["perPage=10", "limit=10", "offset=1", "q=order", "priority=high", "Page=1", "page[]=1"]
)
def test_an_unknown_parameter_is_refused_and_named(client: Client, query: str) -> None:
    answer = client.get(f"{TICKETS}?{query}")
    refused(answer, 400)
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("query", ["status=open&status=closed", "status=open&status=open", "page=1&page=2"])
def test_a_repeated_parameter_is_refused_and_named(client: Client, query: str) -> None:
    answer = client.get(f"{TICKETS}?{query}")
    refused(answer, 400)
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize("field", ["page", "per_page", "status", "workspace_id"])
@pytest.mark.parametrize("ending", ["=", ""])
def test_an_empty_parameter_is_refused_and_named(client: Client, field: str, ending: str) -> None:
    answer = client.get(f"{TICKETS}?{field}{ending}")
    refused(answer, 400)
    assert field in answer.text


def test_all_that_is_wrong_with_a_query_is_told_at_once(client: Client) -> None:
    answer = client.get(f"{TICKETS}?page=0&per_page=101&status=new&order=asc")
    assert set(refused(answer, 400)) == {"page", "per_page", "status", "order"}
