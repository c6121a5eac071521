"""What the models of a server do right now: readings, the rows that two of them give, and rows as text.

`reading` is one look at the server, `asking` takes it; `rows` makes rows of two readings, `watch` a view of reading
after reading; `layout` makes lines of a view, `screen` draws them on a terminal. Like `pasarela_client.control` it is
imported by its name only.
"""
