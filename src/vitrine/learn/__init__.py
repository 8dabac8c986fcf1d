"""Models behind one fit and predict: baselines of scikit-learn, and networks on one training path."""
