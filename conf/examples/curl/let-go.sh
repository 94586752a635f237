#!/bin/bash
# A policy only observes for so many minutes; then it is as before, by itself. The next
# deployment leaves that alone.
# usage: let-go.sh POLICY MINUTES [REASON]
set -euo pipefail
. "$(dirname "$0")/api.sh"

if [ $# -lt 2 ]; then
    sed -n 's/^# \(usage.*\)/\1/p' "$0" >&2
    exit 2
fi
until=$(date --utc --date "+$2 minutes" +%Y-%m-%dT%H:%M:%SZ)
jq -n --arg until "$until" --arg reason "${3:-}" \
    '{mode: "observe", until: $until, reason: $reason}' |
    api PUT "/v1/policies/$1/override" --header 'Content-Type: application/json' \
        --data-binary @- >/dev/null
echo "$1 observes until $until"
