.DEFAULT_GOAL := help
.PHONY: help test slow lint types arrows format check

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

test:  ## Run the tests
	pytest

slow:  ## Run the long checks that are left out of the tests
	pytest -m slow

lint:  ## Look for mistakes in style and spelling
	ruff check .
	ruff format --check .
	codespell growsearch tests conf benchmarks scripts docs README.md CONTRIBUTING.md CHANGELOG.md

types:  ## Check the types
	mypy

arrows:  ## Check which part of the package imports which
	lint-imports

format:  ## Bring the code into its form
	ruff check --fix .
	ruff format .

check: lint types arrows test  ## All of the above but the long checks
