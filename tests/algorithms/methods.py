"""One row a method: what the generic tests run. A new method adds a row and gets them all."""

SMOKE = ["schedule=smoke", "data=digits", "hardware=cpu", "track=quiet"]

METHODS: dict[str, list[str]] = {
    "fixed": ["algo=fixed", "network=sequential", *SMOKE],
    "densemann": ["algo=densemann", *SMOKE],
    "prdarts": ["algo=prdarts", *SMOKE],
    "ectonas": ["algo=ectonas", *SMOKE],
    "ectonas_pooling": ["algo=ectonas_pooling", *SMOKE],
    "conet": ["algo=conet", *SMOKE],
    "stagewise": ["algo=stagewise", *SMOKE],
}
