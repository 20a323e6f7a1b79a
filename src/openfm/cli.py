"""The command ``openfm``."""
