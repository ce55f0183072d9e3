"""A run, or several, as one page that opens anywhere: verdict first, with its provenance."""

from lottery_ticket.report._classes import classes_of as classes_of
from lottery_ticket.report._content import ReportRun as ReportRun
from lottery_ticket.report._content import RunContent as RunContent
from lottery_ticket.report._content import content_of as content_of
from lottery_ticket.report._facts import RunFacts as RunFacts
from lottery_ticket.report._facts import run_facts as run_facts
from lottery_ticket.report._headline import headline as headline
from lottery_ticket.report._headline import no_ticket as no_ticket
from lottery_ticket.report._html import html_page as html_page
from lottery_ticket.report._html import page_part as page_part
from lottery_ticket.report._markdown import markdown_page as markdown_page
from lottery_ticket.report._page import Page as Page
from lottery_ticket.report._tables import level_rows as level_rows
