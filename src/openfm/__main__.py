"""``python -m openfm``: the same as the command ``openfm``."""

from openfm.cli import main

if __name__ == "__main__":
    main(prog_name="openfm")
