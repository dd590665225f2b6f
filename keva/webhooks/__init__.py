"""Webhooks: who wants which events, what is due, its delivery and its signature."""
