"""The inbox: the desk's pages for people in a browser, a Flask app of its own beside the API's."""
