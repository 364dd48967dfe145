#!/bin/sh
# Sees to it that what the tests need beside Go is there: a Chromium for the browser
# test, the real Redis, RabbitMQ and MariaDB that tests start for themselves, Tesseract,
# which tries to read the captchas, npm for axe-core, Java and Maven for JMeter, wrk,
# nginx and Varnish for the bench.
# Installs what is missing on Debian as root; elsewhere it says what to do.
set -eu

# The server binaries are not in every user's PATH.
PATH="$PATH:/usr/sbin:/usr/local/sbin"

have() {
	for name in "$@"; do
		if command -v "$name" >/dev/null 2>&1; then
			return 0
		fi
	done
	return 1
}

missing=""
have chromium chromium-browser google-chrome || missing="$missing chromium"
have redis-server || missing="$missing redis-server"
have rabbitmq-server || missing="$missing rabbitmq-server"
have mariadbd || missing="$missing mariadb-server"
have spin || missing="$missing spin"
have gcc || missing="$missing gcc libc6-dev"
have mvn || missing="$missing maven"
have tesseract || missing="$missing tesseract-ocr"
have npm || missing="$missing npm"
have java || missing="$missing default-jre-headless"
have wrk || missing="$missing wrk"
have nginx || missing="$missing nginx"
[ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] && [ -e /usr/share/lua/5.1/resty/core.lua ] || missing="$missing libnginx-mod-http-lua lua-resty-core"
have varnishd || missing="$missing varnish"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! have apt-get; then
	echo "The tests need these Debian packages (as root: apt-get install$missing):" >&2
	for package in $missing; do
		case $package in
		chromium) echo "  chromium: the browser test; or Google Chrome, so that 'chromium' or 'google-chrome' is found in PATH" >&2 ;;
		redis-server) echo "  redis-server: Redis 7 or later, so that 'redis-server' is found in PATH" >&2 ;;
		rabbitmq-server) echo "  rabbitmq-server: RabbitMQ 3.10 or later with its Erlang, so that 'rabbitmq-server' and 'epmd' are found" >&2 ;;
		mariadb-server) echo "  mariadb-server: MariaDB 10.6 or later, so that 'mariadbd' and 'mariadb-install-db' are found" >&2 ;;
		spin) echo "  spin: the check of the protocol's model" >&2 ;;
		tesseract-ocr) echo "  tesseract-ocr: tries to read the captchas; with English, so that 'tesseract' is found" >&2 ;;
		npm) echo "  npm: fetches axe-core, which looks for what keeps people out of the captcha's page" >&2 ;;
		gcc) echo "  gcc: Spin's checks are C programs" >&2 ;;
		wrk | nginx | varnish | libnginx-mod-http-lua | lua-resty-core) echo "  $package: the bench" >&2 ;;
		maven | default-jre-headless) echo "  $package: JMeter, which comes from Maven Central, so that 'mvn' and 'java' are found" >&2 ;;
		esac
	done
	exit 1
fi

# The packages would start their servers on the standard ports. Debian asks this file
# first; 101 means no. One that is there already is the machine's own and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

echo "installing$missing for the tests" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word per package
apt-get install -y -qq --no-install-recommends $missing >/dev/null
