"""Values that no page would send, in each field of each form and of each address: refused or ignored, never a bug."""

from tests.inbox.pages import NEW, create
from tests.inbox.test_every_route import path_of, routes

# As in a query or in a form.
ODD = ("", "-1", "9" * 30, "%D9%A3", "/inbox?%0D%0AX-Evil:%20yes", "a%00b", "%ED%A0%80", "x" * 2_000)
IN_ADDRESSES = (
    "after",
    "all",
    "before",
    "pictures",
    "saved",
    "sent",
    "status",
    "assignee",
    "waiting",
    "workspace",
    "q",
)
IN_FORMS = {
    "thread.reply": {"body": "Hello.", "then": "pending", "seen": "99", "form": "x"},
    "thread.change": {"priority": "low", "assignedTo": "user_1", "was_assignedTo": "", "seen": "99", "back": "/inbox"},
    "new_ticket.create": NEW | {"workspace": "", "form": "x"},
    "webhooks.retry": {"webhook": "hook_1", "event": "evt_1"},
    "settings.switch_shortcuts": {"on": "on"},
    "sign_in.sign_in": {"next": "/inbox/new", "carried": "body=x", "email": ""},
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def answers(client, path, method, endpoint):
    """Each answer to one odd value among right ones, with that value and its field."""
    for value in ODD:
        if method == "GET":
            odd = "&".join(f"{name}={value}" for name in IN_ADDRESSES if name != "workspace")
            yield value, "all", client.get(f"{path}?{odd}")
            yield value, "workspace", client.get(f"{path}?workspace={value}")
        for odd in IN_FORMS.get(endpoint, {}) if method == "POST" else ():
            fields = [f"{name}={value if name == odd else right}" for name, right in IN_FORMS[endpoint].items()]
            yield value, odd, client.post(path, content="&".join(fields), headers=FORM)


def test_no_value_of_a_field_makes_a_page_fail(desk, client):
    desk.ticket = create(desk)
    tried = 0
    for method, rule, _ in routes(desk.inbox):
        for value, field, answer in answers(client, path_of(desk, rule), method, rule.endpoint):
            assert answer.status_code < 500, (method, rule.rule, field, value[:30])
            assert "X-Evil" not in answer.headers
            tried += 1
    assert tried > 250
