"""A blind test of two models: prompts, shuffled answers, votes, and what the votes say. No model runs here."""
