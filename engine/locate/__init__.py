"""Sighting → Fix: one file per kind of evidence."""
