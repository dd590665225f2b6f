"""Tickets to another Keva and from it, through its documented API."""
