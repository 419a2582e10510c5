"""Numbers as people read them."""


def compact(number: float) -> str:
    """48123 as 48.1k."""
    for limit, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g}{unit}" if abs(number) >= 100 * limit else f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    for limit, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * limit:
            return f"{seconds / limit:.1f} {unit}"
    if seconds == 0:
        return "0 s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
