"""Tickets as JSON lines, in and out."""
