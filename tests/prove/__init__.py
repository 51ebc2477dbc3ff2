"""Proofs by search: the engines' real code, run in every order that a few handlers and faults allow."""
