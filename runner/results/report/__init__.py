"""Figures and a page of runs that have ended."""
