"""`python -m avtomatika` is the command `avtomatika`."""

from avtomatika.cli import main

main()
