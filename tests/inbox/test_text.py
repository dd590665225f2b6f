"""Text as HTML, and times as people read them."""

import pytest

from keva.inbox.text import linked
from keva.inbox.times import ago

NOW = "2024-01-15T10:30:00Z"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("See https://example.com/a?b=c&d=e#f for more", "https://example.com/a?b=c&amp;d=e#f"),
        ("(https://example.com/a)", "https://example.com/a"),
        ("https://example.com/a_(b), and", "https://example.com/a_(b)"),
        ("at HTTP://EXAMPLE.COM.", "HTTP://EXAMPLE.COM"),
        ('"https://example.com/"', "https://example.com/"),
        ("<https://example.com/>", "https://example.com/"),
        ("https://example.com/\u202egpj.exe", "https://example.com/\u202egpj.exe"),
        ("看https://example.com/路径。", "https://example.com/路径"),
    ],
)
def test_a_web_address_is_a_link_that_shows_where_it_goes(text, address):
    link = f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{address}</a>'
    assert link in linked(text)


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "vbscript:x",
        "www.example.com",
        "https://",
        "https:// example.com",
        "xhttps:/example.com",
    ],
)
def test_nothing_else_is_a_link(text):
    assert "<a " not in linked(text)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<script>alert(1)</script> https://example.com/ <b>",
        'https://example.com/"onmouseover="alert(1)',
        "https://example.com/'onmouseover='alert(1)",
        "https://example.com/<img src=x onerror=alert(1)>",
        "https://example.com/&quot;onmouseover=alert(1)",
        "&lt;script&gt;",
    ],
)
def test_nothing_in_a_text_is_markup(text):
    html = linked(text)
    without_links = html
    for tag in ("<a href=", "</a>"):
        without_links = without_links.replace(tag, "")
    assert "<" not in without_links
    assert html.count('"') in (0, 6)


def test_a_text_of_many_addresses_or_odd_ends_takes_no_time():
    assert linked("https://a.b/ " * 9000).count("<a ") == 9000
    assert linked("https://a.b/" + ")" * 99_000).count("<a ") == 1


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2024-01-15T10:30:20Z", "now"),
        ("2024-01-15T10:29:10Z", "now"),
        ("2024-01-15T10:25:00Z", "5 min"),
        ("2024-01-15T01:31:00Z", "8 h"),
        ("2024-01-09T10:31:00Z", "5 d"),
        ("2024-01-02T10:30:00Z", "2 Jan"),
        ("2023-12-31T10:30:00Z", "31 Dec 2023"),
        ("2024-02-01T10:30:00Z", "1 Feb"),
    ],
)
def test_times_are_told_as_long_ago_as_one_would_say(moment, shown):
    assert ago(moment, NOW) == shown
