#!/usr/bin/env bash
# Installs what the tests and npm start need beside Node: the packages, Core Tools, and a browser.
set -euo pipefail
npm ci
npm install --global azure-functions-core-tools@4
sudo apt-get update -q
sudo apt-get install -q -y --no-install-recommends chromium
