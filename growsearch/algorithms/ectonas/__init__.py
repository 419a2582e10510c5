"""ECToNAS: sequential networks evolve across topologies while they train, under a budget of epochs."""
