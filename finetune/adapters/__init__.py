"""Adapters: kept in the library, checked before they are loaded, chosen, merged; nothing is loaded here."""
