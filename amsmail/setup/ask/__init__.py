"""Asking a person: the table of questions, the dialogue, and what a new site is told."""
