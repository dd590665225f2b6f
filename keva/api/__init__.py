"""The Tickets API over Flask."""
