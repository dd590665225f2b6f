"""HTTP/1.1 for one WSGI application: deadlines, bounds, answers made as they are read, and a clean stop."""

# Waitress accepts the connections, waits for them in one loop and owns the threads that call the application; what
# it does with a connection is replaced here, class by class, because of what an open port met:
#
# - Its pattern for the first line, and the one for a header, take a time that grows with the square of a line's
#   length: 32 KiB hold its one loop up for minutes, and everybody with it.
# - It joins headers over several lines, takes a length together with chunks, and reads chunks leniently. Behind a
#   proxy that reads them otherwise, one request becomes two.
# - It has no deadline for a request that arrives byte by byte, none for a client that does not read, no bound for
#   what all connections hold together, and a worker waits for the client that it answers.
# - Its stop drops the requests that wait, and its own refusals are plain text.
#
# Gunicorn's threaded worker keeps a thread for each slow client and has no Windows; uvicorn wants an asynchronous
# application, or runs a synchronous one in threads of its own without a deadline for the head or the body. Both are
# one more dependency. A server of our own from the socket up would be this package and an event loop.
#
# What is used of waitress is private in fact, so its version is pinned to 3.0, and tests/http/test_waitress.py
# names each part. Read on in channel.py, which has the states of a connection.
