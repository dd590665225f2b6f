"""Waitress with deadlines, bounds and a clean stop."""
