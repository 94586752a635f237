#!/bin/bash
# Puts the shield's bans of addresses into nftables, all at once; from cron or a timer,
# every minute. When the daemon cannot be asked, the bans that are loaded stay.
# usage: sync-bans.sh    (SHIELD, SHIELD_SOCKET, SHIELD_TOKEN_FILE as in ../curl/api.sh)
set -euo pipefail
. "$(dirname "$0")/../curl/api.sh"

bans=$(api GET '/v1/bans?format=nft')
printf '%s\n' "$bans" | nft --file -
