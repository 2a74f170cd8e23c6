"""Recipes: one file a framework, imported by name so that no framework is loaded unasked."""
