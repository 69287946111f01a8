#!/bin/sh
# A scripted agent: reads its task through the API, says what it did and moves it to the next queue.
# usage: agent.sh ROLE NEXT_QUEUE PROMPT
set -eu

role=$1
next_queue=$2
prompt=$3
task=$ATHANORE_API/tasks/$ATHANORE_TASK_ID

# A daemon that is being restarted is waited for.
api() {
	curl -fsS --retry 5 --retry-connrefused -H "Authorization: Bearer ${ATHANORE_TOKEN:-}" "$@"
}

post() {
	api -H 'Content-Type: application/json' -d "$2" "$1" >/dev/null
}

echo "$role: $prompt"
api "$task"
echo
sleep "${AGENT_SECONDS:-1}" # a model would think here
post "$task/comments" "{\"comment\": \"The $role is done; next: $next_queue.\"}"
post "$task/move" "{\"target_queue\": \"$next_queue\"}"
echo "$role: done"
