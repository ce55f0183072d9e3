"""What goes into a paper: tables as LaTeX, how a run was done in words, and whom to cite."""

from lottery_ticket.papers._escape import latex_text as latex_text
from lottery_ticket.papers._latex import LatexTable as LatexTable
from lottery_ticket.papers._methods import methods as methods
from lottery_ticket.papers._references import bibtex as bibtex
from lottery_ticket.papers._references import papers as papers
from lottery_ticket.papers._references import uses as uses
from lottery_ticket.papers._tables import ERRORS as ERRORS
from lottery_ticket.papers._tables import levels_latex as levels_latex
from lottery_ticket.papers._tables import runs_latex as runs_latex
from lottery_ticket.papers._tables import trainings_latex as trainings_latex
from lottery_ticket.papers._words import Citation as Citation
