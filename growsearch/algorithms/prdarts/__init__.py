"""PR-DARTS: prune and replace candidate operations (Laube & Zell 2019), and plain DARTS of both orders."""
