"""Train one given network: baselines, and retraining of what was found."""
