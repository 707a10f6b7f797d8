# Thin: every target is `python3 ggufrun/install TARGET`, which also works where there is no make (Windows).
#   make run                    the page, with the demo model     make run MODEL=some.gguf
#   make test / make test-all   the suite / with the slow tests   make test ARGS="-k scheduler"
#   make check                  ruff, mypy, import-linter
#   make bench                  side by side with llama-server    make bench ARGS="--rounds 3"

PYTHON ?= $(shell for python in .venv/bin/python python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$python && break; done)

.PHONY: run test test-all check bench install python clean

run: python
	@$(PYTHON) ggufrun/install run $(or $(ARGS),$(if $(MODEL),serve --open $(MODEL)))

test test-all check bench install: python
	@$(PYTHON) ggufrun/install $@ $(ARGS)

python:
	@test -n "$(PYTHON)" || { echo "ggufrun: Python 3.11 or newer with its venv module is needed" \
	"(Debian, Ubuntu: sudo apt-get install python3 python3-venv; elsewhere: python.org)" >&2; exit 1; }

clean:
	rm -rf .venv .venv-peer .venv-vllm build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
