"""The offline kit: what tests and the demo use where the real upstreams are out of reach.

It is made from PyPI's wheels and Debian's packages alone, and says what it is wherever a person meets it.
Nothing in the collection itself knows about it: roles see URLs, checksums and channels.
"""
