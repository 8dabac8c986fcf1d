"""Formulas and engines that several stages need, without policy."""
