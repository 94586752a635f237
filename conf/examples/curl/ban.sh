#!/bin/bash
# Bans one address on every node, or lifts its ban.
# usage: ban.sh ADDRESS SECONDS [REASON]
#        ban.sh --lift ADDRESS
set -euo pipefail
. "$(dirname "$0")/api.sh"

if [ $# -lt 2 ]; then
    sed -n 's/^# \(usage.*\|  .*\)/\1/p' "$0" >&2
    exit 2
fi
if [ "$1" = --lift ]; then
    api DELETE "/v1/bans/ip:$2"
    exit 0
fi
jq -n --arg client "$1" --argjson seconds "$2" --arg reason "${3:-}" \
    '{key: {client: $client}, seconds: $seconds, reason: $reason}' |
    api PUT "/v1/bans/ip:$1" --header 'Content-Type: application/json' --data-binary @- |
    jq -r '"banned until \(.status.until // .until // "it is lifted")"'
