"""Measurements: run as modules, never by pytest, since speed is not asserted in a test.

What pytest runs here holds their pure parts.
"""
