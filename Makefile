# Every command of the project. `make help` lists them.
include xcaddy.env

GO ?= go
FUZZTIME ?= 10s
TEST_TIMEOUT ?= 18m
CADDY_OUTPUT ?= bin/caddy

.PHONY: help run reset test race lint fuzz caddy

help: ## print this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and run gateway, shop and worker in one process; needs Go alone
	@$(GO) build -o bin/flashgate-demo ./deploy/demo
	@exec bin/flashgate-demo

reset: ## wipe the embedded data of `make run`
	@$(GO) build -o bin/flashgate-demo ./deploy/demo
	@bin/flashgate-demo reset

test: ## every test, against real parts; installs what is missing on Debian as root
	@./deploy/test-tools.sh
	$(GO) test -timeout $(TEST_TIMEOUT) ./...

race: ## the tests with the race detector
	@./deploy/test-tools.sh
	$(GO) test -race -timeout 30m ./...

lint: ## format, vet, staticcheck, file sizes, a tidy go.mod
	@./deploy/lint.sh

fuzz: ## every fuzz target for FUZZTIME (default 10s) each
	@./deploy/fuzz.sh $(FUZZTIME)

caddy: ## a Caddy with the modules of xcaddy.env, in bin/caddy
	@mkdir -p $(dir $(CADDY_OUTPUT))
	$(GO) tool xcaddy build $(CADDY_VERSION) $(addprefix --with ,$(CADDY_MODULES)) --replace flashgate=$(CURDIR) --output $(CADDY_OUTPUT)
