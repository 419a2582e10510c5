"""Stage-Wise NAS: deepen the stages whose features matter (Jordao et al., ICPR 2020; arXiv 2004.11178)."""
