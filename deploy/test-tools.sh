#!/bin/sh
# Sees to it that what the tests need beside Go is there: a Chromium for the browser
# test. Installs it on Debian as root; elsewhere it says what to do.
set -eu

for name in chromium chromium-browser google-chrome; do
	if command -v "$name" >/dev/null 2>&1; then
		exit 0
	fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing chromium for the browser test" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends chromium >/dev/null
	exit 0
fi

echo "The browser test needs Chromium: install the package chromium (Debian, as root: apt-get install chromium)" >&2
echo "or Google Chrome, so that 'chromium' or 'google-chrome' is found in PATH." >&2
exit 1
