"""Samples as what models take: graphs of atoms, vectors of compositions."""
