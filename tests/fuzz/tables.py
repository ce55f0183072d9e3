"""All readers, by name."""

from fuzz import of_data, of_exports, of_searches, of_stores, of_tickets

__all__ = ["READERS"]

READERS = {
    **of_stores.READERS,
    **of_tickets.READERS,
    **of_data.READERS,
    **of_exports.READERS,
    **of_searches.READERS,
}
