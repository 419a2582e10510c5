"""Tables of papers, ours beside the printed numbers."""
