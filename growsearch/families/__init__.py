"""Network families, each described once and without torch: its options, where its class is, how it is sized and drawn.

``growsearch.networks`` builds the networks, the command line offers the options, reports draw the layers.
"""
