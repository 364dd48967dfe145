# Every command of the project. `make help` lists them.
include xcaddy.env

GO ?= go
FUZZTIME ?= 10s
TEST_TIMEOUT ?= 18m
CADDY_OUTPUT ?= bin/caddy

GATEWAYS ?= 1
WORKERS ?= 1
N ?= 500
CHAOS_FOR ?= 20m
CHAOS_KILLS ?= 60
CHAOS_SEED ?= 0

.PHONY: help run reset test race lint fuzz caddy services services-stop run-real jmeter jmeter-compare jmeter-plot jmeter-users jmeter-layers chaos chaos-mutants model conformance bench bench-quick bench-go

help: ## print this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and run gateway, shop and worker in one process; needs Go alone
	@$(GO) build -o bin/flashgate-demo ./deploy/demo
	@exec bin/flashgate-demo

reset: ## wipe the embedded data of `make run`
	@$(GO) build -o bin/flashgate-demo ./deploy/demo
	@bin/flashgate-demo reset

services: ## private Redis, RabbitMQ and MariaDB on free ports, in the background; prints their URLs
	@$(GO) build -o bin/flashgate-services ./deploy/services
	@bin/flashgate-services start

services-stop: ## stop exactly those; their data stays in data/services
	@$(GO) build -o bin/flashgate-services ./deploy/services
	@bin/flashgate-services stop

run-real: ## GATEWAYS gateways, WORKERS workers and a shop on REDIS_URL, AMQP_URL, MYSQL_DSN or on `make services`
	@$(GO) build -o bin/flashgate-demo ./deploy/demo
	@$(GO) build -o bin/shopapp ./shopapp
	@$(GO) build -o bin/orderworker ./orderworker
	@$(GO) build -o bin/flashgate-real ./deploy/real
	@exec bin/flashgate-real --gateways $(GATEWAYS) --workers $(WORKERS)

jmeter: ## every load-test plan, or PLAN, by JMeter against the demo, or against TARGET, each with a verdict
	@$(GO) build -o bin/flashgate-load ./jmeter/load
	@exec bin/flashgate-load run

jmeter-compare: ## PLAN against the targets A and B in turn, with the ratios of their figures
	@$(GO) build -o bin/flashgate-load ./jmeter/load
	@exec bin/flashgate-load compare "$(A)" "$(B)" "$(PLAN)"

jmeter-plot: ## draw the runs of HISTORY (default jmeter/history.jsonl) into docs/performance
	@$(GO) -C bench run ./history -history "$(abspath $(or $(HISTORY),jmeter/history.jsonl))" -plots ../docs/performance

jmeter-layers: ## what each layer is good for: seckill-classic on real servers with one after the other switched on
	@./deploy/test-tools.sh
	@$(GO) run ./jmeter/layers

jmeter-users: ## N customers with sessions, as CSV on standard output
	@$(GO) run ./jmeter/users $(N)

test: ## every test, against real parts; installs what is missing on Debian as root
	@./deploy/test-tools.sh
	$(GO) test -count=1 -timeout $(TEST_TIMEOUT) ./...
	$(GO) -C bench test -count=1 -timeout $(TEST_TIMEOUT) ./...

chaos: ## sell while everything is killed, frozen, cut off and set back, for CHAOS_FOR (default 20m); audits every answer
	@./deploy/test-tools.sh
	$(GO) test -count=1 -timeout 3h -v -run '^TestChaos$$' ./deploy/real -chaos.for $(CHAOS_FOR) -chaos.seed $(CHAOS_SEED)
	$(GO) test -count=1 -timeout 1h -v -run '^TestChaosEmbedded$$' ./deploy/demo -chaos.embedded.kills $(CHAOS_KILLS) -chaos.seed $(CHAOS_SEED)

chaos-mutants: ## take one safeguard after the other out of a copy of the code; each must be caught
	@./deploy/test-tools.sh
	@$(GO) run ./deploy/mutants

model: ## check the protocol's model and refute its mutants with Spin
	@./deploy/test-tools.sh
	@./deploy/model/run.sh

conformance: ## the public HTTP cache suite against a built Caddy: its release on npm, or the folder SUITE
	@./deploy/test-tools.sh
	@SUITE=$(SUITE) ./deploy/conformance/run.sh

race: ## the tests with the race detector
	@./deploy/test-tools.sh
	$(GO) test -race -count=1 -timeout 40m ./...

bench: ## speed against bare Caddy, a naive gate, caddy-ratelimit, cache-handler, nginx and Varnish in one interleaved run; JSON in bin/bench.json
	@./deploy/test-tools.sh
	@$(GO) -C bench run . -out ../bin/bench.json

bench-quick: ## the same, short
	@./deploy/test-tools.sh
	@$(GO) -C bench run . -quick -out ../bin/bench.json

bench-go: ## the engines' Go benchmarks against docs/performance/benchmarks.txt; fails when bytes or allocations of an operation grew
	@$(GO) -C bench run ./engines

lint: ## format, vet, staticcheck, file sizes, a tidy go.mod
	@./deploy/lint.sh

fuzz: ## every fuzz target for FUZZTIME (default 10s) each
	@./deploy/fuzz.sh $(FUZZTIME)

caddy: ## a Caddy with the modules of xcaddy.env, in bin/caddy
	@mkdir -p $(dir $(CADDY_OUTPUT))
	$(GO) tool xcaddy build $(CADDY_VERSION) $(addprefix --with ,$(CADDY_MODULES)) --replace flashgate=$(CURDIR) --output $(CADDY_OUTPUT)
