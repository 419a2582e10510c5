"""Who meets whom in a knock-out bracket.

Groups hold positions in the shuffled list of members. A group of one is a lucky ticket.
"""


def groups(members: int, winners: int, round: int, rounds: int = 3) -> list[list[int]]:
    """Group ``members`` for one round as the authors' code does.

    With no more members than wanted winners each is its own group. Else there are
    ``winners * 2 ** (rounds - round - 1)`` groups of two; members beyond that join them in turn, so
    that groups may grow, and groups left empty are dropped.
    """
    if members <= winners:
        return [[i] for i in range(members)]
    count = winners * 2 ** (rounds - round - 1)
    late = range(2 * count, members)
    made = [[*range(2 * g, min(2 * g + 2, members)), *late[g::count]] for g in range(count)]
    return [group for group in made if group]


def pairs(members: int) -> list[list[int]]:
    """Group ``members`` in pairs as the paper's figure 2 does; an odd one is left alone."""
    return [list(range(i, min(i + 2, members))) for i in range(0, members, 2)]


def round_groups(members: int, winners: int, round: int, rounds: int, rule: str) -> list[list[int]] | None:
    """Groups of one round, or None when the bracket is over.

    By the paper's rule pairs meet until no more than the wanted winners are left. The last round
    pairs only as many as must go, so that just that number is left; the others hold lucky tickets.
    """
    if rule == "code":
        return groups(members, winners, round, rounds) if round < rounds else None
    if members <= winners:
        return None
    if (members + 1) // 2 >= winners:
        return pairs(members)
    losers = members - winners
    return pairs(2 * losers) + [[i] for i in range(2 * losers, members)]


def bracket_sizes(members: int, winners: int, rounds: int = 3) -> list[int]:
    """Members trained in each round of the code's brackets, lucky tickets among them, then those left."""
    sizes = [members]
    for round in range(rounds):
        sizes.append(len(groups(sizes[-1], winners, round, rounds)))
    return sizes
