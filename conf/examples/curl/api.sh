# What the scripts here have in common; sourced by them.
#
#   SHIELD       the daemon, default http://127.0.0.1:9180
#   SHIELD_SOCKET  its unix socket instead (no token for root and its own user)
#   SHIELD_TOKEN_FILE  default /etc/l7shield/token

shield=${SHIELD:-http://127.0.0.1:9180}

# api METHOD PATH [curl option …]: the answer on standard output; a problem (its JSON has
# every error with its place) goes to standard error, and the exit status says so.
api() {
    local method=$1 path=$2 status
    shift 2
    set -- --silent --show-error --fail-with-body --max-time 70 --request "$method" "$@"
    if ask "$path" "$@" >"$answer"; then
        cat "$answer"
    else
        status=$?
        cat "$answer" >&2
        return $status
    fi
}

# The token is on no command line; a body may come from standard input.
ask() {
    local path=$1
    shift
    if [ -n "${SHIELD_SOCKET:-}" ]; then
        curl --unix-socket "$SHIELD_SOCKET" "$@" "http://localhost$path"
    else
        curl --config <(printf 'header = "Authorization: Bearer %s"\n' \
            "$(cat "${SHIELD_TOKEN_FILE:-/etc/l7shield/token}")") "$@" "$shield$path"
    fi
}

answer=$(mktemp)
trap 'rm -f "$answer" "$answer.head"' EXIT
