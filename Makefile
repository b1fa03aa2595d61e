# The front door. Every target is thin: CMake presets build, scripts/ do what CMake is not for.
# Each target first sees to the tools it needs (scripts/bootstrap, quick when nothing is missing).

PREFIX ?= /usr/local
MODEL ?= builtin
PORT ?= 8000
ISSUE ?=

.PHONY: run profile build test check format bench acceptance install clean help
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

run: build ## build, then serve the built-in model (MODEL=NAME or DIR for another one, PORT=8000)
	build/llmind serve --model $(MODEL) --port $(PORT)

profile: build ## build, then profile the built-in model (MODEL=DIR for another one)
	build/llmind profile --quick $(MODEL)

build: ## the program, as build/llmind
	@scripts/bootstrap build
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release --target llmind

test: ## every test: unit, kernels, Rust, page, golden, commands, server, browser, faults, sanitizers
	@scripts/bootstrap test
	@scripts/run_tests

check: ## formatting and static analysis
	@scripts/bootstrap check
	@scripts/check

format: ## rewrite C, Rust and the page's sources in the house style
	@scripts/bootstrap check
	@scripts/check --format

bench: build ## speed of the built-in model (MODEL=DIR for another one)
	build/llmind bench $(MODEL) -p 64,512 -n 128 -r 3

acceptance: build ## the long or timed checks of one issue: make acceptance ISSUE=2
	@test -n "$(ISSUE)" || { echo 'say which issue: make acceptance ISSUE=2' >&2; exit 2; }
	@scripts/bootstrap test
	.venv/bin/python bench/acceptance $(ISSUE)

install: build ## PREFIX/bin/llmind and PREFIX/share/llmind (PREFIX=/usr/local)
	@cmake --install build --prefix '$(PREFIX)'

clean: ## remove what was built (not .venv, not cargo's cache)
	rm -rf build build-asan build-tsan ffi/target
