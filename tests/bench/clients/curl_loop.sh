#!/bin/sh
# One user with curl: asks in turns with and without streaming until SECONDS are over; a line an answer:
# how curl exited, the status, seconds to the first byte and in all, and whether the answer was whole.
#
#   curl_loop.sh URL SECONDS
set -u
body=$(mktemp)
trap 'rm -f "$body"' EXIT
end=$(($(date +%s) + $2))
turn=0
while [ "$(date +%s)" -lt "$end" ]; do
  turn=$((turn + 1))
  if [ $((turn % 2)) -eq 0 ]; then stream=true; last='data: \[DONE\]'; else stream=false; last='"usage"'; fi
  figures=$(curl -sS -N -o "$body" -w '%{http_code} %{time_starttransfer} %{time_total}' \
    -H 'content-type: application/json' "$1/v1/chat/completions" \
    -d '{"messages":[{"role":"user","content":"Question '$turn': why?"}],"max_tokens":48,"stream":'$stream'}')
  code=$?
  if grep -q "$last" "$body"; then whole=whole; else whole=cut; fi
  echo "$code $figures $whole"
done
