"""Evaluation: arrays in, numbers out. Sees no model.

::

    splits      which samples train, validate and test; by group or, as the leaky comparison, at random
    metrics     one number from truth and score, equal to scikit-learn's
    intervals   the same metrics with percentile-bootstrap intervals over groups, paired differences
    curves      ROC, precision-recall and binned curves with bands over groups
    claims      rank correlation and called fraction within a part of the rows
    nulls       shuffled labels and chance scores
    resampling  drawing groups; ranking   sorted scores, the fast half of the bootstrap

Import the modules themselves: this package imports nothing, so that ``splits`` stays instant.
"""
