"""`python -m lottery_ticket.cli`."""

from lottery_ticket.cli import main

main()
