"""PR-DARTS: prune and replace candidate operations (Laube & Zell 2019), and plain first-order DARTS."""
