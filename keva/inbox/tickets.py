"""The tickets: the list, the thread, and what is done there."""

from flask import Blueprint, render_template

bp = Blueprint("tickets", __name__, url_prefix="/inbox")


@bp.get("")
def show_list() -> str:
    """Tickets by their last message."""
    return render_template("tickets.html")
