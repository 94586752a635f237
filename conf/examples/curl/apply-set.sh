#!/bin/bash
# Applies a set and waits until every node enforces it.
# usage: apply-set.sh [--dry-run] SET FILE [MIN_NODES]
#   --dry-run  stores nothing and shows each difference, one a line
# At most five objects are deleted (MAX_DELETES=N); REASON goes into the history.
set -euo pipefail
. "$(dirname "$0")/api.sh"

dry_run=false
if [ "${1:-}" = --dry-run ]; then
    dry_run=true
    shift
fi
if [ $# -lt 2 ]; then
    sed -n 's/^# \(usage.*\)/\1/p' "$0" >&2
    exit 2
fi

api PUT "/v1/sets/$1?max_deletes=${MAX_DELETES:-5}&dry_run=$dry_run" \
    --dump-header "$answer.head" --header 'Content-Type: application/json' \
    --header "Shield-Reason: ${REASON:-apply-set.sh}" --data-binary "@$2" >/dev/null
if [ "$dry_run" = true ]; then
    jq -c '.differences[] | [.op, .kind, .name, .differences]' "$answer"
    exit 0
fi
jq -r '["created", "updated", "deleted", "overridden"][] as $what |
    .[$what][] | "\($what) \(.)"' "$answer"
revision=$(sed -n 's/^shield-revision: *\([0-9]*\).*/\1/ip' "$answer.head")
if [ "$revision" -gt 0 ]; then
    api GET "/v1/revisions/$revision/rollout?wait_seconds=60&on_timeout=error&min_nodes=${3:-0}" |
        jq -r '"revision \(.revision) is in force on \(.applied_nodes) nodes"'
fi
