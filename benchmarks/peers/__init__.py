"""Other programs that train Factorization Machines, each in a process and an environment of its own.

``environments`` makes the environments, ``process`` starts a peer's driver and talks to it in lines of JSON,
``driver`` is the other end of that talk. A driver is a module ``benchmarks.peers.<name>_driver``; it runs in the
environment of its peer, where there is no openfm. openfm has a driver too, to be measured like the others.
"""
