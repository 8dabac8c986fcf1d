"""What models look at: attention, saliency. Above the stages; knows a model by its protocol only."""
