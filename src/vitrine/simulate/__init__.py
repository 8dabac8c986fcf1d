"""Sources of samples: simulations, released sets, tables."""
