"""Search in the words of messages: the query language, and an index in a file beside the database."""
